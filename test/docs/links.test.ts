/**
 * Every relative link of the pages leads to a file that is there, and every file that a comment in src names exists. Rename a
 * file and leave a page or a comment as it is to see it fail.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

function filesBelow(dir: string, end: string): string[] {
  const names = readdirSync(join(root, dir), { recursive: true, encoding: 'utf8' });
  return names.filter((name) => name.endsWith(end)).map((name) => `${dir}/${name}`.replaceAll('\\', '/'));
}

const pages = ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', ...filesBelow('docs', '.md')];
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

/** The headings of a page, as GitHub makes anchors of them. */
function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(' ', '-'),
  );
}

function linksOf(page: string): { path: string; anchor: string | undefined }[] {
  const links = [...read(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
  return links
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => {
      const [path = '', anchor] = target.split('#');
      return { path: path === '' ? page : join(dirname(page), path), anchor };
    });
}

test('pages have links, and each leads somewhere', () => {
  expect(pages.flatMap(linksOf).length).toBeGreaterThan(50);
  const dead = pages.flatMap((page) =>
    linksOf(page)
      .filter(({ path, anchor }) => {
        if (!existsSync(join(root, path))) return true;
        return anchor !== undefined && path.endsWith('.md') && !anchorsOf(read(path)).includes(anchor);
      })
      .map(({ path, anchor }) => `${page}: ${path}${anchor === undefined ? '' : `#${anchor}`}`),
  );
  expect(dead).toEqual([]);
});

test('files that comments in src speak of are there', () => {
  const sources = filesBelow('src', '.ts');
  const known = [...sources, ...filesBelow('scripts', '.mjs'), ...filesBelow('test', '.ts')];
  const names = new Set(known.map((path) => basename(path)));
  const isThere = (mention: string): boolean =>
    mention.includes('/') ? known.some((path) => `/${path}`.endsWith(`/${mention}`)) : names.has(mention);
  const gone = sources.flatMap((path) => {
    const comments = [...read(path).matchAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm)].map(([comment]) => comment).join('\n');
    const mentions = [...comments.matchAll(/[\w./-]+\.ts\b/g)].map(([mention]) => mention);
    return [...new Set(mentions)].filter((mention) => !isThere(mention)).map((mention) => `${path}: ${mention}`);
  });
  expect(gone).toEqual([]);
});
