/**
 * Makes the traces of this folder: what a pool needs in each five minutes of three weeks, from a Monday 00:00 UTC on. The same seed
 * gives the same files, and a test compares them (test/bench/forecast.test.ts). `npm run backtest -- --traces` writes them.
 */
import { numbersFrom } from '../simulator/events.ts';

export interface Trace {
  readonly name: string;
  readonly about: string;
  /** ISO date of the first day. */
  readonly from: string;
  /** One text for each day: the connections needed in each five minutes. */
  readonly days: readonly string[];
}

const days = 21;
const from = '2026-01-05';
const perDay = 288;

/** A load at a time of a day, in hours. */
type Load = (day: number, hour: number, random: () => number) => number;

const isWeekend = (day: number): boolean => day % 7 >= 5;

/** Between -1 and 1, near to 0 as a rule. */
const noise = (random: () => number): number => random() + random() + random() - 1.5;

/** Everybody begins at nine, some go for lunch, and all leave one by one. */
const office: Load = (day, hour, random) => {
  if (isWeekend(day)) return 3 + noise(random);
  if (hour < 7 || hour >= 19) return 4 + noise(random);
  if (hour < 9) return 6 + noise(random);
  const level = hour >= 12 && hour < 13 ? 26 : hour < 17 ? 34 : 34 - (hour - 17) * 14;
  return level * (1 + 0.04 * noise(random));
};

/** A job at each full hour, a large one at 02:00. */
const batch: Load = (_day, hour, random) => {
  const isFull = hour % 1 < 1 / 12;
  const level = isFull ? (Math.floor(hour) === 2 ? 60 : 40) : 5;
  return level + noise(random);
};

/** A load that is what it was five minutes before, a little more or less. */
function walk(): Load {
  let level = 15;
  return (_day, _hour, random) => {
    level = Math.min(70, Math.max(2, level * Math.exp(0.14 * noise(random) * 2)));
    return level;
  };
}

/** The office, but on the Monday of the third week everybody is an hour late. */
const shifted: Load = (day, hour, random) => office(day, day === 14 ? hour - 1 : hour, random);

function trace(name: string, about: string, load: Load, seed: number): Trace {
  const random = numbersFrom(seed);
  const texts = Array.from({ length: days }, (_, day) =>
    Array.from({ length: perDay }, (_each, slot) => Math.max(0, Math.round(load(day, slot / 12, random)))).join(' '),
  );
  return { name, about, from, days: texts };
}

export function makeTraces(): readonly Trace[] {
  return [
    trace('office', 'office hours from Monday to Friday, all begin at nine', office, 1),
    trace('batch', 'a job at each full hour, a large one at 02:00', batch, 2),
    trace('walk', 'a random walk, which nobody can predict', walk(), 3),
    trace('shifted', 'office hours, one Monday an hour later', shifted, 4),
  ];
}

export const fileOf = ({ name }: Trace): string => `${name}.json`;
export const textOf = (one: Trace): string => `${JSON.stringify(one, null, 2)}\n`;
