/**
 * Protects the memory of this process: reads how much it may have and has, gives the monitor (memory/monitor.ts) the caches and
 * clients to take from, and logs what it decides. Made by parts.ts, started and stopped by lifecycle.ts.
 */
import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { getHeapStatistics } from 'node:v8';
import { garbageCollector } from '../memory/garbage.ts';
import { atLeastIdle, cgroupUsage, findLimit, ownUsage, shareOfWorker, type FoundLimit } from '../memory/limit.ts';
import { MemoryMonitor } from '../memory/monitor.ts';
import type { MemoryFigures, MemoryState, Reading } from '../memory/types.ts';
import { limitRepeats } from '../observability/bounded-log.ts';
import type { Log } from '../observability/types.ts';
import type { Services } from '../session/context.ts';
import { systemClock } from '../util/clock.ts';
import type { Clients } from './clients.ts';
import type { Current } from './current.ts';
import { holdersOf, wordsOf, type ClientHolder } from './memory-holders.ts';

export interface MemoryParts {
  readonly current: Pick<Current, 'config'>;
  readonly services: Pick<Services, 'cache' | 'classifier' | 'book'>;
  readonly clients: Pick<Clients, 'sessions'>;
  /** How many processes this Weir has. */
  readonly processes: number;
  readonly log: Log;
  readonly onError: (error: unknown) => void;
}

const readText = (file: string): string => readFileSync(file, 'utf8');

export class Memory {
  readonly monitor: MemoryMonitor;
  private readonly parts: MemoryParts;
  private readonly shedLog: Log;
  /** In use when nothing had been done yet. */
  private readonly idleBytes = ownUsage(readText) ?? process.memoryUsage.rss();
  private limit: FoundLimit;
  /** The memory_limit that `limit` was found for. */
  private limitOf: number;
  private timer: NodeJS.Timeout | undefined;

  constructor(parts: MemoryParts) {
    this.parts = parts;
    this.shedLog = limitRepeats(parts.log, systemClock.nowMs);
    this.limitOf = parts.current.config.memoryLimitBytes;
    this.limit = this.findLimit();
    const { services } = parts;
    this.monitor = new MemoryMonitor({
      limit: () => this.presentLimit(),
      read: () => this.read(),
      collect: garbageCollector(),
      nowMs: systemClock.nowMs,
      caches: [services.cache, services.classifier, services.book],
      holders: () => holdersOf(parts.clients.sessions()),
      onState: (now, before, figures) => this.logState(now, before, figures),
      onShed: (holder, figures) => this.logShed(holder as ClientHolder, figures),
    });
  }

  start(): void {
    this.logLimit();
    this.timer = setTimeout(() => this.pass(), 0);
    this.timer.unref();
  }

  stop(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  private pass(): void {
    let nextMs = 1_000;
    try {
      nextMs = this.monitor.pass();
    } catch (error) {
      this.parts.onError(error);
    }
    if (this.timer === undefined) return;
    this.timer = setTimeout(() => this.pass(), nextMs);
    this.timer.unref();
  }

  private presentLimit(): FoundLimit {
    const { memoryLimitBytes } = this.parts.current.config;
    if (memoryLimitBytes !== this.limitOf) {
      this.limitOf = memoryLimitBytes;
      this.limit = this.findLimit();
      this.logLimit();
    }
    return this.limit;
  }

  private findLimit(): FoundLimit {
    const { processes } = this.parts;
    const { cache } = this.parts.current.config;
    const whole = findLimit({ read: readText, settingBytes: this.limitOf, machineBytes: totalmem() });
    const share = shareOfWorker(whole, processes, cache.enabled ? cache.maxMemoryBytes : 0);
    return atLeastIdle(share, this.idleBytes);
  }

  private read(): Reading {
    const { heapUsed, arrayBuffers, rss } = process.memoryUsage();
    const ownBytes = ownUsage(readText) ?? rss;
    const { cgroup } = this.limit;
    const groupBytes = cgroup === undefined ? 0 : (cgroupUsage(cgroup, readText) ?? 0) / this.parts.processes;
    return {
      // Of the cgroup, the kernel's buffers of sockets count too, and other programs in it.
      residentBytes: Math.max(ownBytes, groupBytes),
      heapUsedBytes: heapUsed,
      bufferBytes: arrayBuffers,
      heapLimitBytes: getHeapStatistics().heap_size_limit,
    };
  }

  private logLimit(): void {
    const { bytes, from, problems } = this.limit;
    const passedOver = problems.length === 0 ? '' : `; passed over: ${problems.join(', ')}`;
    const level = problems.length === 0 ? 'info' : 'warn';
    this.parts.log(level, 'memory_limit', `this process may have ${inMB(bytes)} of memory: ${from}${passedOver}`, {
      bytes,
    });
  }

  private logState(now: MemoryState, before: MemoryState, figures: MemoryFigures): void {
    const { usedBytes, limitBytes, limitFrom, heapUsedBytes, heapLimitBytes, cacheShare, waitingClients } = figures;
    const heap = `${inMB(heapUsedBytes)} of ${inMB(heapLimitBytes)} of the JavaScript heap`;
    const use = `${inMB(usedBytes)} of ${inMB(limitBytes)} in use (${limitFrom}), ${heap}`;
    const fields = { state: now, before, usedBytes, limitBytes, cacheShare, waitingClients };
    this.parts.log(now === 'normal' ? 'info' : 'warn', 'memory_state', `${stateWords[now]}: ${use}`, fields);
  }

  private logShed({ session, reason, bytes }: ClientHolder, { usedBytes, limitBytes }: MemoryFigures): void {
    const who = { client: session.identity.id, user: session.user, database: session.database.name };
    const message = `memory is critical: a client was ended (53200) that held ${wordsOf(reason)}`;
    this.shedLog('warn', 'memory_shed', message, { reason, bytes, ...who, usedBytes, limitBytes });
  }
}

const stateWords: Readonly<Record<MemoryState, string>> = {
  normal: 'memory is no longer short: caches may grow and new clients come in',
  tight: 'memory is tight: caches shrink and new clients wait',
  critical: 'memory is critical: the clients that hold most are ended',
};

function inMB(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MB`;
}
