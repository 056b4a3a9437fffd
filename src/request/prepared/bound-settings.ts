/**
 * set_config() with parameters, as many drivers send it: when Bind has brought the values, its plan is that of the
 * same call with constants. Called by forward.ts.
 */
import { boundTo } from '../../binding/bound.ts';
import type { Plan } from '../../binding/plan.ts';
import { settingOf, TRANSACTION_PARAMETERS } from '../../sql/settings.ts';
import type { SettingArgument, SettingChange } from '../../sql/facts.ts';
import { endOfString } from '../../protocol/read.ts';
import type { Session } from '../../session/session.ts';
import { isPiece, type Message } from '../../session/request.ts';

/** Longer values are not tracked. */
const maxValueBytes = 16 * 1024;
/** OIDs of types whose binary form is their text: unspecified, text, unknown, varchar. */
const textTypes: ReadonlySet<number> = new Set([0, 25, 705, 1043]);
const booleanTypes: ReadonlySet<number> = new Set([0, 16]);

/**
 * @returns the plan of a statement with the values of `bind`; `plan` itself if it needs none, or they cannot be
 * tracked
 */
export function planWithValues(session: Session, plan: Plan, bind: Message, name: string): Plan {
  const calls = plan.facts.statements[0]?.boundSettings;
  if (calls === undefined || plan.facts.statements.length !== 1 || isPiece(bind)) return plan;
  const values = readValues(bind);
  if (values === undefined) return plan;
  const types = session.prepared.get(name)?.types;
  const { isUtf8 } = session.state.reading;
  const settings: SettingChange[] = [];
  for (const { name, value, isLocal } of calls) {
    const setting = settingOf({
      name: textOf(name, values, types, isUtf8),
      value: textOf(value, values, types, isUtf8),
      isLocal: booleanOf(isLocal, values, types),
    });
    if (setting === undefined || TRANSACTION_PARAMETERS.has(setting.name)) return plan;
    settings.push(setting);
  }
  return boundTo(plan, settings);
}

export interface BoundValue {
  /** undefined: NULL. */
  readonly bytes: Buffer | undefined;
  readonly isBinary: boolean;
}

/** @returns undefined if the message is malformed; the server will report it */
export function readValues({ buffer, start, end }: Message): readonly BoundValue[] | undefined {
  const portalEnd = endOfString(buffer, start + 5, end);
  let at = endOfString(buffer, portalEnd + 1, end) + 1;
  if (at + 2 > end) return undefined;
  const formats = buffer.readUInt16BE(at);
  const firstFormat = at + 2;
  at = firstFormat + 2 * formats;
  if (at + 2 > end) return undefined;
  const count = buffer.readUInt16BE(at);
  at += 2;
  if (formats > 1 && formats !== count) return undefined;
  const values: BoundValue[] = [];
  for (let i = 0; i < count; i++) {
    if (at + 4 > end) return undefined;
    const length = buffer.readInt32BE(at);
    at += 4;
    if (length < -1 || at + length > end) return undefined;
    const isBinary = formats > 0 && buffer.readInt16BE(firstFormat + (formats === 1 ? 0 : 2 * i)) === 1;
    values.push({ bytes: length === -1 ? undefined : buffer.subarray(at, at + length), isBinary });
    if (length > 0) at += length;
  }
  return values;
}

/** @returns the OID that Parse gave for parameter `number`; 0: unspecified */
export function typeOfParameter(number: number, types: Buffer | undefined): number {
  const at = 2 + 4 * (number - 1);
  return types === undefined || at + 4 > types.length ? 0 : types.readUInt32BE(at);
}

/** @returns the text of an argument; a number (the parameter's) if it cannot be determined */
function textOf(
  argument: SettingArgument,
  values: readonly BoundValue[],
  types: Buffer | undefined,
  isUtf8: boolean,
): SettingArgument {
  if (typeof argument !== 'number') return argument;
  const value = values[argument - 1];
  if (value === undefined || !textTypes.has(typeOfParameter(argument, types))) return argument;
  const { bytes } = value;
  if (bytes === undefined) return null;
  if (bytes.length > maxValueBytes || bytes.includes(0)) return argument;
  const text = bytes.toString('utf8');
  const isPlain = text.length === bytes.length;
  return isPlain || (isUtf8 && Buffer.from(text).equals(bytes)) ? text : argument;
}

function booleanOf(
  argument: SettingArgument,
  values: readonly BoundValue[],
  types: Buffer | undefined,
): SettingArgument {
  if (typeof argument !== 'number') return argument;
  const value = values[argument - 1];
  if (value === undefined || !booleanTypes.has(typeOfParameter(argument, types))) return argument;
  const { bytes, isBinary } = value;
  if (bytes === undefined) return null;
  if (!isBinary) return bytes.toString('latin1');
  return bytes.length === 1 ? String(bytes[0] !== 0) : argument;
}
