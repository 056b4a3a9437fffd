/**
 * Makes OpenTelemetry spans of statements and sends them by OTLP over HTTP. The packages are loaded when spans are switched
 * on. A statement never waits for the exporter: spans are queued, and dropped when the queue is full. Made by tracing.ts.
 */
import type { Context, Span, Tracer } from '@opentelemetry/api';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-base';
import type { StatementDetails, StatementTracer, TraceComment } from '../statements/types.ts';

export interface SpanSettings {
  readonly endpoint: string;
  /** Of statements without a traceparent, from 0 to 1. */
  readonly sampleRate: number;
  readonly serviceName: string;
}

export interface Spans extends StatementTracer {
  /** Sends what is queued; at most for a few seconds. */
  stop(): Promise<void>;
}

export interface SpanEvents {
  /** Spans are lost, because they could not be sent. */
  lost(spans: number, reason: string): void;
  /** Spans were not made, because so many were waiting to be sent. Told when the next ones were sent, or lost, and at the end. */
  dropped(spans: number, waiting: number): void;
}

/** That wait to be sent, or are being sent: bounds memory, as a span takes about 2 KB. */
const mostWaiting = 2_048;
const batchSize = 512;
const exportTimeoutMs = 5_000;
const sampled = 1;

/**
 * Counts the spans that are not sent yet, and tells of those that are lost. The SDK drops what its queue cannot take without a word,
 * so that nothing is made that it would drop.
 */
class Outgoing implements SpanExporter {
  private readonly exporter: SpanExporter;
  private readonly events: SpanEvents;
  private waiting = 0;
  private dropped = 0;

  constructor(exporter: SpanExporter, events: SpanEvents) {
    this.exporter = exporter;
    this.events = events;
  }

  /** Whether there is room for one more. */
  take(): boolean {
    if (this.waiting < mostWaiting) this.waiting++;
    else {
      this.dropped++;
      return false;
    }
    return true;
  }

  export(spans: ReadableSpan[], done: Parameters<SpanExporter['export']>[1]): void {
    this.exporter.export(spans, (result) => {
      this.waiting -= spans.length;
      if (result.code !== 0) this.events.lost(spans.length, result.error?.message ?? 'no reason is known');
      this.tellDropped();
      done(result);
    });
  }

  tellDropped(): void {
    if (this.dropped > 0) this.events.dropped(this.dropped, mostWaiting);
    this.dropped = 0;
  }

  shutdown(): Promise<void> {
    return this.exporter.shutdown();
  }
}

/** @param random from 0 to 1 @param version of Weir */
export async function startSpans(
  { endpoint, sampleRate, serviceName }: SpanSettings,
  { version, random, events }: { readonly version: string; readonly random: () => number; readonly events: SpanEvents },
): Promise<Spans> {
  const api = await import('@opentelemetry/api');
  const sdk = await import('@opentelemetry/sdk-trace-base');
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-http');
  const { resourceFromAttributes } = await import('@opentelemetry/resources');
  const outgoing = new Outgoing(new OTLPTraceExporter({ url: endpoint, timeoutMillis: exportTimeoutMs }), events);
  const provider = new sdk.BasicTracerProvider({
    resource: resourceFromAttributes({ 'service.name': serviceName, 'service.version': version }),
    // Which statements without a parent have a span is decided by wants(), before anything is made for them.
    sampler: new sdk.ParentBasedSampler({ root: new sdk.AlwaysOnSampler() }),
    spanProcessors: [
      new sdk.BatchSpanProcessor(outgoing, {
        ...{ maxQueueSize: mostWaiting, maxExportBatchSize: batchSize, exportTimeoutMillis: exportTimeoutMs },
        scheduledDelayMillis: 1_000,
      }),
    ],
  });
  const tracer = provider.getTracer('weir', version);
  const contextOf = (trace: TraceComment | undefined): Context => {
    if (trace === undefined) return api.ROOT_CONTEXT;
    const [, traceId = '', spanId = '', flags = ''] = trace.traceparent.split('-');
    const traceState = trace.tracestate === undefined ? {} : { traceState: api.createTraceState(trace.tracestate) };
    const parent = { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & sampled, isRemote: true, ...traceState };
    return api.trace.setSpanContext(api.ROOT_CONTEXT, parent);
  };
  return {
    wants(trace) {
      if (trace === undefined) return sampleRate > 0 && random() < sampleRate;
      return (Number.parseInt(trace.traceparent.slice(-2), 16) & sampled) === sampled;
    },
    span(text, details) {
      if (!outgoing.take()) return;
      const endMs = Date.now();
      const startTime = endMs - details.waitMs - details.serverMs;
      const options = { kind: api.SpanKind.CLIENT, startTime, attributes: attributesOf(text, details) };
      const span: Span = startSpan(tracer, text.verb, details, options, contextOf(details.trace));
      if (details.hasError) span.setStatus({ code: api.SpanStatusCode.ERROR });
      span.end(endMs);
    },
    stop() {
      outgoing.tellDropped();
      return provider.shutdown();
    },
  };
}

function startSpan(
  tracer: Tracer,
  verb: string,
  { database }: StatementDetails,
  options: Parameters<Tracer['startSpan']>[1],
  context: Context,
): Span {
  return tracer.startSpan(`${verb === '' ? 'statement' : verb} ${database}`, options, context);
}

const changesRows = /\b(?:INSERT|UPDATE|DELETE|MERGE|COPY FROM)$/;

/** By the semantic conventions for databases; what they have no name for begins with `weir.` */
function attributesOf(
  { text, verb }: { readonly text: string; readonly verb: string },
  details: StatementDetails,
): Record<string, string | number> {
  const { server, sqlstate, hasError } = details;
  return {
    'db.system.name': 'postgresql',
    // Its name before version 1.28 of the conventions.
    'db.system': 'postgresql',
    'db.namespace': details.database,
    'db.operation.name': verb,
    'db.query.text': text,
    // How many a cached answer has is not counted.
    ...(details.route !== 'cache' &&
      !hasError && { [changesRows.test(verb) ? 'weir.changed_rows' : 'db.response.returned_rows']: details.rows }),
    ...(server !== undefined && { 'server.address': server.host, 'server.port': server.port }),
    ...(sqlstate !== undefined && { 'db.response.status_code': sqlstate }),
    ...(hasError && { 'error.type': sqlstate ?? 'error' }),
    'weir.user': details.user,
    'weir.application_name': details.applicationName,
    'weir.node': details.node,
    'weir.route': details.route,
    'weir.route.reason': details.why,
    'weir.cache': details.cache,
    'weir.wait_ms': details.waitMs,
    'weir.server_ms': details.serverMs,
  };
}
