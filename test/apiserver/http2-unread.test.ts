/** Data of HTTP/2 that nobody reads counts with the bodies that are read, whoever sends it and by how many streams. */
import { expect, test } from "bun:test";
import { Duplex } from "node:stream";
import { Http2Connection } from "#shared/http2/connection.ts";
import { errorCodes, FRAME_HEAD_BYTES, flags, frameTypes, preface } from "#shared/http2/frames.ts";
import type { Http2Request } from "#shared/http2/request.ts";
import { BodyRoom } from "../../master/apiserver/http/body-room.ts";
import { frame, headerBlock, requestFields, settings } from "../support/http2-client.ts";

const ROOM_BYTES = 100_000;
const LONG_BYTES = 60_000;

/** What a client sends is pushed; what it is sent lies in `written`. */
class Wire extends Duplex {
  readonly written: Buffer[] = [];

  override _read(): void {
    // The test pushes.
  }

  override _write(bytes: Buffer, _: string, done: () => void): void {
    this.written.push(Buffer.from(bytes));
    done();
  }

  /** By stream, with what code each was reset. */
  resets(): Record<number, number> {
    const bytes = Buffer.concat(this.written);
    const found: Record<number, number> = {};
    for (let at = 0; at < bytes.length; at += FRAME_HEAD_BYTES + bytes.readUIntBE(at, 3)) {
      if (bytes[at + 3] === frameTypes.reset)
        found[bytes.readUInt32BE(at + 5)] = bytes.readUInt32BE(at + FRAME_HEAD_BYTES);
    }
    return found;
  }
}

/** A connection whose requests are served when the test says so. */
function connected(room: BodyRoom) {
  const wire = new Wire();
  const requests: Http2Request[] = [];
  const ends: (() => void)[] = [];
  const connection = new Http2Connection(
    wire,
    (request) => {
      requests.push(request);
      return new Promise((resolve) => ends.push(resolve));
    },
    { maxStreams: 100, maxHeaders_bytes: 4096, stalledFor_ms: 60_000, room },
  );
  wire.push(Buffer.concat([preface, settings()]));
  const send = async (stream: number, bytes: number, isWhole = false): Promise<void> => {
    wire.push(frame(frameTypes.headers, flags.endHeaders, stream, headerBlock(requestFields("POST", "/x"))));
    for (let left = bytes; left > 0; left -= 15_000) {
      const isLast = isWhole && left <= 15_000;
      wire.push(frame(frameTypes.data, isLast ? flags.endStream : 0, stream, Buffer.alloc(Math.min(left, 15_000))));
    }
    await Bun.sleep(5);
  };
  return { wire, requests, connection, send, served: () => ends.splice(0).map((end) => end()) };
}

test("what has waited for longest makes way, and may be sent again", async () => {
  const room = new BodyRoom(() => ROOM_BYTES);
  const [first, second] = [connected(room), connected(room)];
  await first.send(1, LONG_BYTES, true);
  expect(room.held_bytes).toBe(LONG_BYTES);
  await second.send(1, LONG_BYTES);
  expect(first.wire.resets()).toEqual({ 1: errorCodes.refusedStream });
  expect(second.wire.resets()).toEqual({});
  expect(room.held_bytes).toBe(LONG_BYTES);
});

test("a body that made way is no empty one", async () => {
  const room = new BodyRoom(() => ROOM_BYTES);
  const [first, second] = [connected(room), connected(room)];
  await first.send(1, LONG_BYTES, true);
  await second.send(1, LONG_BYTES);
  const request = first.requests[0] as Http2Request;
  expect(request.takeWhole()).toBeUndefined();
  const seen: string[] = [];
  request.body.on("end", () => seen.push("end")).on("close", () => seen.push("close"));
  request.body.resume();
  await Bun.sleep(5);
  expect(seen).toEqual(["close"]);
});

test("what many streams of one connection hold counts together, however little each has", async () => {
  const room = new BodyRoom(() => ROOM_BYTES);
  const { wire, send } = connected(room);
  for (let stream = 1; stream < 80; stream += 2) await send(stream, 3000);
  expect(Object.keys(wire.resets()).length).toBeGreaterThan(20);
  expect(room.held_bytes).toBeLessThanOrEqual(ROOM_BYTES);
});

test("what is read, or left when its request is answered, does not count", async () => {
  const room = new BodyRoom(() => ROOM_BYTES);
  const { requests, send, served, wire } = connected(room);
  await send(1, LONG_BYTES, true);
  expect(requests[0]?.takeWhole()).toHaveLength(LONG_BYTES);
  expect(room.held_bytes).toBe(0);
  await send(3, LONG_BYTES, true);
  expect(room.held_bytes).toBe(LONG_BYTES);
  served();
  await Bun.sleep(5);
  expect(room.held_bytes).toBe(0);
  await send(5, LONG_BYTES);
  wire.destroy();
  await Bun.sleep(5);
  expect(room.held_bytes).toBe(0);
});
