/**
 * The part of the table of settings about traces (OpenTelemetry). Put together with the others in settings.ts.
 */
import type { Rows } from './setting.ts';
import { redactUrl } from './redact.ts';
import { setting } from './setting.ts';
import { fraction, optional, string, type Parsed, type ValueType } from './values.ts';

function httpUrl(): ValueType<string> {
  // A password would be shown where the endpoint is: it goes into OTEL_EXPORTER_OTLP_HEADERS.
  const allowed = 'a URL such as http://127.0.0.1:4318/v1/traces, without user and password';
  const parse = (raw: unknown): Parsed<string> => {
    const isUrl = typeof raw === 'string' && /^https?:\/\/[^\s/@]+(\/\S*)?$/.test(raw) && URL.canParse(raw);
    return isUrl ? { value: raw } : { refused: `is not ${allowed}` };
  };
  return { name: 'url', allowed, parse, parseText: (text) => parse(text.trim()), format: redactUrl };
}

export const tracingRows = {
  'tracing.endpoint': setting(
    'endpoint',
    optional(httpUrl()),
    undefined,
    'reload',
    'Where spans of statements are sent (OTLP over HTTP): see docs/tracing.md. null: off.',
  ),
  'tracing.sample_rate': setting(
    'sampleRate',
    fraction(),
    0.01,
    'reload',
    'The share of the statements without a traceparent that has a span; one with a traceparent has one if its flags say so.',
  ),
  'tracing.service_name': setting('serviceName', string('a name'), 'weir', 'reload', 'The service.name of the spans.'),
} as const satisfies Rows;
