/**
 * One end of a channel between two processes of one Weir: one-way messages and questions with answers, in the order in
 * which they were sent. What may be said is in messages.ts; what carries it is a Wire: Node's IPC, or a pair in
 * memory in tests. Knows nothing of workers.
 */
import { WeirError } from '../errors/errors.ts';
import { packError, unpackError, type PackedError } from './packed-error.ts';

/** By topic: what is said, and what is answered (undefined for what is only told). Must survive a structured clone. */
export type Topics = Readonly<Record<string, { readonly body: unknown; readonly reply: unknown }>>;

/** What the other end sees of one message. */
export type Envelope =
  | { readonly kind: 'tell'; readonly topic: string; readonly body: unknown }
  | { readonly kind: 'ask'; readonly topic: string; readonly id: number; readonly body: unknown }
  | { readonly kind: 'answer'; readonly id: number; readonly body: unknown }
  | { readonly kind: 'failure'; readonly id: number; readonly error: PackedError };

/** Carries envelopes in order, without loss, until it is closed. */
export interface Wire {
  send(envelope: Envelope): void;
  onEnvelope(listener: (envelope: Envelope) => void): void;
  /** Called once. Nothing is sent or received after it. */
  onClosed(listener: () => void): void;
}

/** The other process has ended, or does not answer any more. */
export class ChannelClosed extends Error {
  constructor() {
    super('the other process is gone');
    this.name = 'ChannelClosed';
  }
}

interface Waiting {
  resolve(body: unknown): void;
  reject(error: Error): void;
}

/** @typeParam Heard what the other end says; @typeParam Said what this end says */
export class Channel<Heard extends Topics, Said extends Topics> {
  private readonly wire: Wire;
  private readonly unexpected: (error: unknown) => void;
  private readonly handlers = new Map<keyof Heard, (body: never) => unknown>();
  private readonly waiting = new Map<number, Waiting>();
  private readonly closedListeners = new Set<() => void>();
  /** Questions of the other end that are not answered yet, and their topics. */
  private readonly answering = new Map<number, keyof Heard>();
  private lastId: number;
  private heardCount = 0;
  private closed = false;

  /**
   * @param unexpected told of errors that are not WeirErrors: bugs
   * @param lastId of another channel over the same wire, whose questions may still be answered: nobody wants to know
   */
  constructor(wire: Wire, unexpected: (error: unknown) => void, lastId = 0) {
    this.wire = wire;
    this.unexpected = unexpected;
    this.lastId = lastId;
    wire.onEnvelope((envelope) => this.receive(envelope));
    wire.onClosed(() => this.end());
  }

  get isClosed(): boolean {
    return this.closed;
  }

  /** How many messages of the other end have come. */
  get heard(): number {
    return this.heardCount;
  }

  /** Of the last question that was asked here. */
  get lastQuestion(): number {
    return this.lastId;
  }

  /** How many questions of the other end are not answered yet. */
  get unanswered(): number {
    return this.answering.size;
  }

  /** Gives up all questions of the other end that are not answered yet. */
  refuseUnanswered(error: (topic: keyof Heard) => Error): void {
    for (const [id, topic] of this.answering) {
      if (!this.closed) this.wire.send({ kind: 'failure', id, error: packError(error(topic)) });
    }
    this.answering.clear();
  }

  /** One handler per topic. What it throws is the answer of a question; for what is only told, it is unexpected. */
  on<Topic extends keyof Heard>(
    topic: Topic,
    handler: (body: Heard[Topic]['body']) => Heard[Topic]['reply'] | Promise<Heard[Topic]['reply']>,
  ): void {
    this.handlers.set(topic, handler as (body: never) => unknown);
  }

  /** Called at once if the channel is closed already. */
  onClosed(listener: () => void): void {
    if (this.closed) listener();
    else this.closedListeners.add(listener);
  }

  /** Does nothing if the channel is closed. */
  tell<Topic extends keyof Said & string>(topic: Topic, body: Said[Topic]['body']): void {
    if (!this.closed) this.wire.send({ kind: 'tell', topic, body });
  }

  /** Rejects with the WeirError of the other end, or with ChannelClosed. */
  ask<Topic extends keyof Said & string>(topic: Topic, body: Said[Topic]['body']): Promise<Said[Topic]['reply']> {
    if (this.closed) return Promise.reject(new ChannelClosed());
    const id = ++this.lastId;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.wire.send({ kind: 'ask', topic, id, body });
    });
  }

  private receive(envelope: Envelope): void {
    this.heardCount++;
    switch (envelope.kind) {
      case 'tell':
        void this.handle(envelope.topic, envelope.body).catch(this.unexpected);
        return;
      case 'ask':
        void this.answer(envelope.id, envelope.topic, envelope.body);
        return;
      case 'answer':
        this.take(envelope.id)?.resolve(envelope.body);
        return;
      case 'failure':
        this.take(envelope.id)?.reject(unpackError(envelope.error));
    }
  }

  private take(id: number): Waiting | undefined {
    const found = this.waiting.get(id);
    this.waiting.delete(id);
    return found;
  }

  /** Handlers begin in the order of the messages: what is before their first await is done before the next message. */
  private async handle(topic: string, body: unknown): Promise<unknown> {
    const handler = this.handlers.get(topic);
    if (handler === undefined) throw new Error(`no handler for "${topic}"`);
    return handler(body as never);
  }

  private async answer(id: number, topic: string, body: unknown): Promise<void> {
    let reply: Envelope;
    this.answering.set(id, topic);
    try {
      reply = { kind: 'answer', id, body: await this.handle(topic, body) };
    } catch (error) {
      if (!(error instanceof WeirError)) this.unexpected(error);
      reply = { kind: 'failure', id, error: packError(error) };
    }
    if (this.answering.delete(id) && !this.closed) this.wire.send(reply);
  }

  private end(): void {
    if (this.closed) return;
    this.closed = true;
    for (const { reject } of this.waiting.values()) reject(new ChannelClosed());
    this.waiting.clear();
    for (const listener of this.closedListeners) listener();
    this.closedListeners.clear();
  }
}
