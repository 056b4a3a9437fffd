/**
 * What the HTTP side answers, apart from the page. Made by http.ts and invalidate-door.ts.
 */

export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export const plain = 'text/plain; charset=utf-8';
export const json = 'application/json; charset=utf-8';
