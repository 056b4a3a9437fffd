/** Frames out of chunks: whatever the cuts, the same frames in the same order, and no length costs memory. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ProtocolError } from '../../src/protocol/read.ts';
import { FrameScanner, type FrameSink } from '../../src/protocol/scanner.ts';
import { frame } from '../../src/protocol/write.ts';

class Recorder implements FrameSink {
  readonly frames: string[] = [];
  private pieces: Buffer[] = [];
  streamAbove = Infinity;
  stopsAfter = Infinity;

  frame(_type: number, buffer: Buffer, start: number, end: number): boolean {
    this.frames.push(buffer.toString('latin1', start, end));
    return --this.stopsAfter > 0;
  }

  mayStream(_type: number, size: number): boolean {
    return size > this.streamAbove;
  }

  begin(_type: number, _size: number, buffer: Buffer, start: number, end: number): boolean {
    this.pieces = [Buffer.from(buffer.subarray(start, end))];
    return true;
  }

  more(buffer: Buffer, start: number, end: number, isLast: boolean): boolean {
    this.pieces.push(Buffer.from(buffer.subarray(start, end)));
    if (isLast) this.frames.push(Buffer.concat(this.pieces).toString('latin1'));
    return true;
  }
}

const messages = fc.array(
  fc.record({ type: fc.integer({ min: 1, max: 255 }), body: fc.uint8Array({ maxLength: 40 }) }),
  { minLength: 1, maxLength: 12 },
);

function cut(bytes: Buffer, at: readonly number[]): Buffer[] {
  const places = [...new Set(at.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  const chunks: Buffer[] = [];
  let from = 0;
  for (const place of [...places, bytes.length]) {
    if (place > from) chunks.push(bytes.subarray(from, place));
    from = place;
  }
  return chunks;
}

describe('chunks', () => {
  for (const streamAbove of [Infinity, 20, 0]) {
    test(`cut anywhere give the same frames (streamed above ${streamAbove} bytes)`, () => {
      fc.assert(
        fc.property(messages, fc.array(fc.nat(), { maxLength: 30 }), (sent, places) => {
          const frames = sent.map(({ type, body }) => frame(type, Buffer.from(body)));
          const recorder = new Recorder();
          recorder.streamAbove = streamAbove;
          const scanner = new FrameScanner(recorder);
          for (const chunk of cut(Buffer.concat(frames), places)) scanner.push(chunk);
          expect(recorder.frames).toEqual(frames.map((each) => each.toString('latin1')));
          expect(scanner.isBetweenFrames).toBe(true);
        }),
      );
    });
  }

  test('one byte at a time', () => {
    const bytes = Buffer.concat([frame(0x51, Buffer.from('SELECT 1\0')), frame(0x53)]);
    const recorder = new Recorder();
    const scanner = new FrameScanner(recorder);
    for (let at = 0; at < bytes.length; at++) scanner.push(bytes.subarray(at, at + 1));
    expect(recorder.frames).toHaveLength(2);
  });
});

describe('stopping', () => {
  test('keeps what follows until resume', () => {
    const frames = ['a', 'b', 'c'].map((text) => frame(0x51, Buffer.from(text)));
    const recorder = new Recorder();
    recorder.stopsAfter = 1;
    const scanner = new FrameScanner(recorder);
    scanner.push(Buffer.concat(frames.slice(0, 2)));
    scanner.push(frames[2] as Buffer);
    expect(recorder.frames).toHaveLength(1);
    expect(scanner.restBytes).toBe(12);
    recorder.stopsAfter = Infinity;
    scanner.resume();
    expect(recorder.frames).toEqual(frames.map((each) => each.toString('latin1')));
  });
});

describe('lengths that lie', () => {
  for (const length of [0, 3, -1, -2147483648, 0x40000000, 0x7fffffff]) {
    test(`${length} is refused`, () => {
      const header = Buffer.alloc(5);
      header[0] = 0x51;
      header.writeInt32BE(length, 1);
      expect(() => new FrameScanner(new Recorder()).push(header)).toThrow(ProtocolError);
    });
  }

  test('a gigabyte that is only announced costs nothing', () => {
    const header = Buffer.alloc(5);
    header[0] = 0x51;
    header.writeInt32BE(0x3ffffff0, 1);
    const before = process.memoryUsage().arrayBuffers;
    new FrameScanner(new Recorder()).push(header);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1_000_000);
  });
});
