/**
 * Tells whether a syntax tree was made from a template, in which stand-ins replace the constants, or from the text itself.
 * A fact that depends on the value of a constant cannot be taken from a template: the template is marked, and each of its
 * texts is parsed separately. Made by the classifier for each parse.
 */
import { STAND_INS } from './template.ts';

export class Reading {
  /** A fact depends on a constant that may be a stand-in. */
  needsText = false;
  readonly #isTemplate: boolean;

  /** @param isTemplate whether constants in the tree may be stand-ins. */
  constructor(isTemplate: boolean) {
    this.#isTemplate = isTemplate;
  }

  /** Must be called wherever a fact depends on the value of a constant. */
  usesConstant(): void {
    if (this.#isTemplate) this.needsText = true;
  }

  /** Must be called for the first argument of a telling call: the key has it (scanner.ts) unless it equals a stand-in. */
  telling(text: string): string {
    if (this.#isTemplate && STAND_INS.has(text)) this.needsText = true;
    return text;
  }
}
