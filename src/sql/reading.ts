/**
 * Whether a tree was made from a template, in which constants are stand-ins, or from the text itself. Facts that come
 * from the value of a constant are only true of the text; taking one from a template marks the template, and its texts
 * are then read one by one. Made by the classifier for each parse.
 */
import { STAND_INS } from './template.ts';

export class Reading {
  /** Some fact came from a constant that may be a stand-in. */
  needsText = false;
  readonly #isTemplate: boolean;

  /** @param isTemplate whether constants in the tree may be stand-ins. */
  constructor(isTemplate: boolean) {
    this.#isTemplate = isTemplate;
  }

  /** To be called wherever the value of a constant becomes, or decides, a fact. */
  usesConstant(): void {
    if (this.#isTemplate) this.needsText = true;
  }

  /** The first constant of a call that the scanner keeps (scanner.ts); only a stand-in is in doubt. */
  telling(text: string): string {
    if (this.#isTemplate && STAND_INS.has(text)) this.needsText = true;
    return text;
  }
}
