/**
 * The texts that mutants replace are in the code: when a rule has moved, its mutant has to move with it, also one that
 * the checker does not notice yet. What is put in their place is a program, whose names are all known there. Writes and
 * faults that mutants name are there, too.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import ts from 'typescript';
import { checkoutDir } from '../../integration/harness/run-dir.ts';
import { faults } from '../../soak/faults.ts';
import { kinds } from '../../soak/kinds.ts';
import type { Change } from '../../soak/mutant.ts';
import { mutants } from '../../soak/mutants.ts';

const options = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023 };

/** The text of a file of dist, as the build writes it. */
function built(file: string): string {
  const source = readFileSync(join(checkoutDir, 'src', file.replace(/\.js$/, '.ts')), 'utf8');
  return ts.transpileModule(source, { compilerOptions: options }).outputText;
}

/** By file, what the mutant makes of it. */
function mutated(changes: readonly Change[]): ReadonlyMap<string, string> {
  const texts = new Map<string, string>();
  for (const { file, from, to } of changes) {
    const text = texts.get(file) ?? built(file);
    expect(text, file).toContain(from);
    texts.set(
      file,
      text.replaceAll(from, () => to),
    );
  }
  return texts;
}

/** What Node would say of the text when it loads or runs it: what is no syntax, and names that nobody has declared. */
function mistakesIn(file: string, text: string): string[] {
  const host = ts.createCompilerHost({});
  const parsed = ts.createSourceFile(file, text, options.target, true, ts.ScriptKind.JS);
  host.getSourceFile = (name) => (name === file ? parsed : undefined);
  // Alone: neither the types of the language nor other files are looked at, which takes no time.
  const alone = { ...options, allowJs: true, checkJs: true, noResolve: true, noLib: true, types: [] };
  const program = ts.createProgram([file], alone, host);
  const found = program.getSyntacticDiagnostics(parsed).map(({ messageText }) => String(messageText));
  for (const { code, start = 0, length = 0 } of program.getSemanticDiagnostics(parsed)) {
    const name = text.slice(start, start + length);
    // "Cannot find name", with advice or without.
    const isUnknown = code === 2304 || code === 2552 || (code >= 2580 && code <= 2593);
    if (isUnknown && /^[\w$]+$/.test(name) && !(name in globalThis)) found.push(`${name} is not defined`);
  }
  return [...found, ...importsWithoutExport(file, parsed)];
}

function importsWithoutExport(file: string, parsed: ts.SourceFile): string[] {
  return parsed.statements.filter(ts.isImportDeclaration).flatMap(({ moduleSpecifier, importClause }) => {
    const from = (moduleSpecifier as ts.StringLiteral).text;
    const names = importClause?.namedBindings;
    if (!from.startsWith('.') || names === undefined || !ts.isNamedImports(names)) return [];
    const exported = exportsOf(join(file, '..', from).replace(/\.ts$/, '.js'));
    const wanted = names.elements.map(({ propertyName, name }) => (propertyName ?? name).text);
    return wanted.filter((name) => !exported.has(name)).map((name) => `${from} does not export ${name}`);
  });
}

function exportsOf(file: string): ReadonlySet<string> {
  const exported = new Set<string>();
  const parsed = ts.createSourceFile(file, built(file), options.target, true, ts.ScriptKind.JS);
  for (const statement of parsed.statements) {
    if (ts.isExportDeclaration(statement) && statement.exportClause !== undefined) {
      if (ts.isNamedExports(statement.exportClause))
        for (const { name } of statement.exportClause.elements) exported.add(name.text);
    } else if (
      ts.canHaveModifiers(statement) &&
      ts.getModifiers(statement)?.[0]?.kind === ts.SyntaxKind.ExportKeyword
    ) {
      const declared = ts.isVariableStatement(statement) ? statement.declarationList.declarations : [statement];
      for (const one of declared as readonly ts.NamedDeclaration[])
        exported.add(one.name?.getText(parsed) ?? 'default');
    }
  }
  return exported;
}

test.each(mutants.map(({ rule, name, changes }) => [`${rule}: ${name}`, changes] as const))('%s', (_name, changes) => {
  for (const [file, text] of mutated(changes)) expect(mistakesIn(file, text), file).toEqual([]);
});

test.each([
  ['nowhere(1);', ['nowhere is not defined']],
  ["import { nothing } from './cache.ts';", ['./cache.ts does not export nothing']],
  ['call(1;', ["')' expected.", 'call is not defined']],
  ['Math.max(process.pid, Infinity);', []],
] as const)('a broken mutant is told from a sound one: %s', (text, mistakes) => {
  expect(mistakesIn('cache/mutant.js', text)).toEqual(mistakes);
});

test('mutants name writes and faults that there are', () => {
  const known = new Set([...kinds, ...faults].map(({ name }) => name));
  const named = mutants.flatMap((mutant) => [...mutant.kinds, ...mutant.faults]);
  expect(named.filter((name) => !known.has(name))).toEqual([]);
});
