// The hooks of mutate.mjs. A text that is not found ends the process: the code has changed, and so must the mutant.
let changes = [];

export function initialize(data) {
  changes = data;
}

// The texts are those of single modules, not of the bundle.
export function resolve(specifier, context, nextResolve) {
  return nextResolve(specifier.replace('/dist/bundle/main.mjs', '/dist/main.js'), context);
}

export async function load(url, context, nextLoad) {
  const result = await nextLoad(url, context);
  const wanted = changes.filter(({ file }) => url.endsWith(`/dist/${file}`));
  if (wanted.length === 0) return result;
  let source = result.source.toString();
  for (const { file, from, to } of wanted) {
    if (!source.includes(from)) throw new Error(`mutant: ${file} has no ${from}`);
    source = source.replaceAll(from, to);
  }
  return { ...result, source };
}
