/**
 * The event stream of Weir. Comes again by itself after a restart, and says when nothing is heard: a page that shows old figures
 * as if they were new is worse than none.
 */

/** @typedef {import('../../src/observability/page/types.ts').Update} Update */
/** @typedef {import('../../src/observability/page/types.ts').Hello} Hello */

/** Updates come each second, or each ten seconds where there are very many clients. */
const silentMs = 12_000;
const againMs = 2_000;

/**
 * @param {{ onHello(hello: Hello): void, onUpdate(update: Update): void, onState(problem: string | undefined): void }} listener
 */
export function listen({ onHello, onUpdate, onState }) {
  /** @type {EventSource | undefined} */
  let source;
  let heardAtMs = Date.now();
  let opensAtMs = 0;

  const open = () => {
    source?.close();
    heardAtMs = Date.now();
    source = new EventSource('events');
    source.addEventListener('hello', (event) => onHello(JSON.parse(event.data)));
    source.addEventListener('update', (event) => {
      heardAtMs = Date.now();
      onState(undefined);
      onUpdate(JSON.parse(event.data));
    });
    source.addEventListener('error', () => {
      onState('Weir does not answer');
      opensAtMs = Date.now() + againMs;
    });
  };

  setInterval(() => {
    const nowMs = Date.now();
    // The browser tries again by itself, unless the answer was an error, as that of a proxy in between.
    const isOver = source?.readyState === EventSource.CLOSED && nowMs >= opensAtMs;
    if (nowMs - heardAtMs > silentMs) onState('Weir sends nothing');
    if (isOver || nowMs - heardAtMs > silentMs) open();
  }, 1_000);
  open();
}
