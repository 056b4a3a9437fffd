/**
 * Puts sections that were measured by themselves into docs/benchmarks.md as it is (`npm run bench -- --only NAME --write`): each
 * replaces the one of its title, or comes at the end, and its targets go into the table of targets.
 */
import { sectionText, targetRow, type Section } from './report.ts';

/** A section from its title to the next, or to the end. */
const sectionAt = (title: string): RegExp =>
  new RegExp(`^## ${title.replace(/[^\w ]/g, '\\$&')}\n[^]*?(?=^## |(?![^]))`, 'm');

export function withSections(page: string, sections: readonly Section[], measured: string): string {
  return sections.reduce((text, section) => withTargets(withSection(text, section, measured), section), page);
}

function withSection(page: string, section: Section, measured: string): string {
  const text = `${sectionText({ ...section, notes: [...section.notes, measured] })}\n\n`;
  const at = sectionAt(section.title);
  const replaced = at.test(page) ? page.replace(at, () => text) : `${page.trimEnd()}\n\n${text}`;
  return `${replaced.trimEnd()}\n`;
}

function withTargets(page: string, { targets }: Section): string {
  return page.replace(sectionAt('Targets'), (whole) => {
    const lines = whole.trimEnd().split('\n');
    for (const target of targets) {
      const at = lines.findIndex((line) => line.startsWith(`| ${target.text} |`));
      lines.splice(at === -1 ? lines.length : at, at === -1 ? 0 : 1, targetRow(target));
    }
    return `${lines.join('\n')}\n\n`;
  });
}
