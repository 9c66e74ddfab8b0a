/** HTTP/2 as well-behaved clients do not speak it: what the server bounds, refuses, and goes on with all the same. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { configMaps } from "#shared/api/resources.ts";
import { errorCodes, flags, frameTypes } from "#shared/http2/frames.ts";
import { createCertificateAuthority, type KeyAndCertificate } from "#shared/pki/certificate.ts";
import { startTestServer, type TestServer } from "../support/apiserver.ts";
import { frame, Http2Client, headerBlock, requestFields, settings, uint32 } from "../support/http2-client.ts";

const limits = { headersWithin_ms: 1500, idleFor_ms: 1500, stalledFor_ms: 1500 };
const initialWindow = 4;
let server: TestServer;
/** Has the usual patience. */
let patient: TestServer;
let admin: KeyAndCertificate;

beforeAll(async () => {
  server = await startTestServer({ limits });
  patient = await startTestServer();
  for (let index = 0; index < 40; index += 1) {
    await patient.client.create(configMaps, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: `large-${index}`, namespace: "default" },
      data: { text: String(index % 10).repeat(50_000) },
    });
  }
});
afterAll(() => Promise.all([server.stop(), patient.stop()]));

async function connect(to: TestServer, first?: Buffer): Promise<Http2Client> {
  admin = await to.issue("kubernetes-admin", ["system:masters"]);
  const port = Number(new URL(to.url).port);
  const place = { port, ca: to.authority.certificatePem, cert: admin.certificatePem, key: admin.keyPem };
  return Http2Client.connect(place, first);
}

const widen = (client: Http2Client, stream: number, more_bytes: number): void =>
  client.send(frameTypes.windowUpdate, 0, stream, uint32(more_bytes));

test("a large list travels through a small window, byte by byte what it is", async () => {
  const client = await connect(patient, settings([initialWindow, 1000]));
  const stream = client.begin("GET", "/api/v1/namespaces/default/configmaps");
  let granted_bytes = 1000;
  const isEnded = (): boolean => client.of(stream).some((each) => (each.flags & flags.endStream) !== 0);
  while (!isEnded()) {
    const taken_bytes = granted_bytes;
    await client.until(() => isEnded() || client.bodyLength(stream) >= taken_bytes);
    expect(client.bodyLength(stream)).toBeLessThanOrEqual(granted_bytes);
    granted_bytes += 30_000;
    widen(client, stream, 30_000);
    widen(client, 0, 30_000);
  }
  const { body } = await client.answer(stream);
  const list = JSON.parse(body.toString()) as { items: { data: { text: string } }[] };
  const texts = list.items.map(({ data }) => data?.text ?? "").filter((text) => text.length === 50_000);
  expect(texts.length).toBe(40);
  expect(texts.every((text) => new Set(text).size === 1)).toBe(true);
  client.close();
});

test("large answers to a client whose socket is slow are what they should be", async () => {
  const client = await connect(patient, settings([initialWindow, 2 ** 30]));
  widen(client, 0, 2 ** 30);
  const streams = Array.from({ length: 20 }, () => client.begin("GET", "/api/v1/namespaces/default/configmaps"));
  const arrived = (): number => streams.reduce((sum, stream) => sum + client.bodyLength(stream), 0);
  for (let taken = 0; taken < 20; taken += 1) {
    client.socket.pause();
    await Bun.sleep(5);
    client.socket.resume();
    const before = arrived();
    await client.until(() => arrived() > before);
  }
  const answers = await Promise.all(streams.map((stream) => client.answer(stream)));
  const [first] = answers;
  expect(answers.every(({ body }) => body.equals(first?.body ?? Buffer.alloc(0)))).toBe(true);
  expect((JSON.parse(first?.body.toString() ?? "") as { items: unknown[] }).items.length).toBeGreaterThanOrEqual(40);
  client.close();
});

test("a stream that waits for its window holds up no other", async () => {
  const client = await connect(patient, settings([initialWindow, 0]));
  const waiting = client.begin("GET", "/api/v1/namespaces/default/configmaps");
  const other = client.begin("GET", "/version");
  widen(client, other, 100_000);
  expect((await client.answer(other)).status).toBe(200);
  expect(client.bodyLength(waiting)).toBe(0);
  client.close();
});

test("who takes nothing of one answer loses that stream, not the connection", async () => {
  const client = await connect(server, settings([initialWindow, 0]));
  const stalled = client.begin("GET", "/version");
  const watch = client.begin("GET", "/api/v1/configmaps?watch=true");
  await client.until(() => client.resetCode(stalled) !== undefined);
  expect(client.resetCode(stalled)).toBe(errorCodes.cancel);
  const next = client.begin("GET", "/version");
  widen(client, next, 100_000);
  expect((await client.answer(next)).status).toBe(200);
  expect(client.resetCode(watch)).toBeUndefined();
  client.close();
});

test("who takes nothing at all from its socket is left", async () => {
  while (server.connectionCount() > 0) await Bun.sleep(50);
  const client = await connect(server, settings([initialWindow, 2 ** 31 - 1]));
  widen(client, 0, 2 ** 30);
  client.socket.pause();
  for (let index = 0; index < 50; index += 1) client.begin("GET", "/openapi/v2");
  while (server.connectionCount() === 0) await Bun.sleep(10);
  while (server.connectionCount() > 0) await Bun.sleep(50);
  client.close();
});

test("a header block that comes bit by bit is not waited for", async () => {
  const client = await connect(server);
  client.send(frameTypes.headers, flags.endStream, 1, headerBlock(requestFields("GET", "/version")));
  await client.until(() => client.isClosed);
});

test("pings alone do not keep a connection", async () => {
  const client = await connect(server);
  expect((await client.answer(client.begin("GET", "/version"))).status).toBe(200);
  while (!client.isClosed) {
    await client.heard();
    await Bun.sleep(100);
  }
});

test("more streams than were offered are refused, and may be asked for again", async () => {
  const client = await connect(patient);
  widen(client, 0, 2 ** 30);
  const watches = Array.from({ length: 100 }, () => client.begin("GET", "/api/v1/namespaces?watch=true"));
  const refused = client.begin("GET", "/version");
  await client.until(() => client.resetCode(refused) !== undefined);
  expect(client.resetCode(refused)).toBe(errorCodes.refusedStream);
  for (const watch of watches.slice(0, 1)) client.send(frameTypes.reset, 0, watch, uint32(errorCodes.cancel));
  expect((await client.answer(client.begin("GET", "/version"))).status).toBe(200);
  client.close();
});

test("who makes requests only to give them up is sent away", async () => {
  const client = await connect(patient);
  const streams = Array.from({ length: 50 }, () => client.begin("GET", "/version"));
  // All at once, and of the same requests: what may be given up grows with time, and a busy machine takes its time over a request.
  const resets = streams.map((stream) => frame(frameTypes.reset, 0, stream, uint32(errorCodes.cancel)));
  client.socket.write(Buffer.concat(Array.from({ length: 60 }, () => resets).flat()));
  await client.until(() => client.isClosed || client.goAwayCode !== undefined);
  expect(client.goAwayCode).toBe(errorCodes.enhanceYourCalm);
  client.close();
});

test("pings whose answers nobody takes do not pile up", async () => {
  while (patient.connectionCount() > 0) await Bun.sleep(50);
  const client = await connect(patient);
  await client.heard();
  client.socket.pause();
  const pings = Buffer.concat(Array.from({ length: 20_000 }, () => frame(frameTypes.ping, 0, 0, Buffer.alloc(8))));
  while (patient.connectionCount() > 0) {
    client.socket.write(pings);
    await Bun.sleep(0);
  }
  client.close();
});

test("too long headers are answered, a block without end is not", async () => {
  const client = await connect(patient);
  const long = client.begin("GET", "/version", []);
  expect((await client.answer(long)).status).toBe(200);
  const parts = headerBlock([...requestFields("GET", "/version"), ["x-a", "a".repeat(300_000)]]);
  const sendParts = (stream: number): void => {
    client.send(frameTypes.headers, flags.endStream, stream, parts.subarray(0, 16_384));
    for (let at = 16_384; at < parts.length; at += 16_384) {
      const isLast = at + 16_384 >= parts.length;
      client.send(frameTypes.continuation, isLast ? flags.endHeaders : 0, stream, parts.subarray(at, at + 16_384));
    }
  };
  sendParts(101);
  expect((await client.answer(101)).status).toBe(431);
  client.send(frameTypes.headers, flags.endStream, 103, headerBlock(requestFields("GET", "/version")));
  for (let index = 0; index < 200; index += 1) client.send(frameTypes.continuation, 0, 103);
  await client.until(() => client.isClosed);
  expect(client.goAwayCode).toBe(errorCodes.enhanceYourCalm);
});

test("a block that comes in parts is read to its end, behind a priority and padding too", async () => {
  const client = await connect(patient);
  const block = headerBlock(requestFields("GET", "/version"));
  const priority = Buffer.from([0, 0, 0, 0, 16]);
  const padding = Buffer.alloc(3);
  const first = Buffer.concat([Buffer.from([padding.length]), priority, block.subarray(0, 10), padding]);
  client.send(frameTypes.headers, flags.endStream | flags.priority | flags.padded, 1, first);
  client.send(frameTypes.continuation, 0, 1, block.subarray(10, 20));
  client.send(frameTypes.continuation, flags.endHeaders, 1, block.subarray(20));
  expect((await client.answer(1)).status).toBe(200);
  client.close();
});

test("headers that grow out of a table are counted as long as they become", async () => {
  const client = await connect(patient);
  // One field of 4,000 bytes into the table, then its index a thousand times: four megabytes out of a kilobyte.
  const kept = Buffer.concat([
    Buffer.from([0x40, 3]),
    Buffer.from("x-a"),
    Buffer.from([0x7f, 0xa1, 0x1e]),
    Buffer.alloc(4000, "a"),
  ]);
  const block = Buffer.concat([headerBlock(requestFields("GET", "/version")), kept, Buffer.alloc(1000, 0x80 | 62)]);
  client.send(frameTypes.headers, flags.endHeaders | flags.endStream, 1, block);
  expect((await client.answer(1)).status).toBe(431);
  client.close();
});

test("trailers are read over, and a body's length must be what was announced", async () => {
  const client = await connect(patient);
  const body = Buffer.from(JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "trailed" } }));
  const path = "/api/v1/namespaces/default/configmaps";
  const type = ["content-type", "application/json"] as const;
  const trailed = client.begin("POST", path, [type], false);
  client.send(frameTypes.data, 0, trailed, body);
  client.send(frameTypes.headers, flags.endHeaders | flags.endStream, trailed, headerBlock([["x-checksum", "1"]]));
  expect((await client.answer(trailed)).status).toBe(201);
  const short = client.begin("POST", path, [type, ["content-length", String(body.length + 1)]], false);
  client.send(frameTypes.data, flags.endStream, short, body);
  await client.until(() => client.resetCode(short) !== undefined);
  expect(client.resetCode(short)).toBe(errorCodes.protocolError);
  client.close();
});

test("large bodies arrive whole by the window that they are given; too large ones are refused", async () => {
  const client = await connect(patient, settings([initialWindow, 2 ** 30]));
  widen(client, 0, 2 ** 30);
  const object = {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "uploaded" },
    data: { text: "é".repeat(400_000) },
  };
  const body = Buffer.from(JSON.stringify(object));
  const headers = [["content-type", "application/json"]] as const;
  const path = "/api/v1/namespaces/default/configmaps";
  const upload = async (bytes: Buffer): Promise<number> => {
    const stream = client.begin("POST", path, headers, false);
    const granted = (): number =>
      client
        .of(stream)
        .reduce(
          (sum, each) => sum + (each.type === frameTypes.windowUpdate ? each.payload.readUInt32BE(0) : 0),
          65_535,
        );
    const isAnswered = (): boolean => client.of(stream).some(({ type }) => type === frameTypes.headers);
    for (let at = 0; at < bytes.length && !isAnswered(); at += 16_384) {
      const part = bytes.subarray(at, at + 16_384);
      await client.until(() => isAnswered() || granted() >= at + part.length);
      client.send(frameTypes.data, at + 16_384 >= bytes.length ? flags.endStream : 0, stream, part);
    }
    return (await client.answer(stream)).status;
  };
  expect(await upload(body)).toBe(201);
  expect(await upload(Buffer.alloc(4 * 1024 * 1024, " "))).toBe(413);
  expect((await client.answer(client.begin("GET", "/version"))).status).toBe(200);
  client.close();
});

test("a body that is sent without regard to the window ends its stream", async () => {
  const client = await connect(patient);
  const stream = client.begin("POST", "/api/v1/namespaces/default/pods/none/proxy/", [], false);
  for (let sent = 0; sent < 70_000; sent += 10_000) client.send(frameTypes.data, 0, stream, Buffer.alloc(10_000));
  await client.until(() => client.resetCode(stream) !== undefined);
  expect([errorCodes.flowControlError, errorCodes.noError]).toContain(client.resetCode(stream) as 0 | 3);
  expect((await client.answer(client.begin("GET", "/version"))).status).toBe(200);
  client.close();
});

const malformed: readonly (readonly [string, Buffer, number])[] = [
  ["a frame that is too large", frame(frameTypes.data, 0, 1, Buffer.alloc(20_000)), errorCodes.frameSizeError],
  ["data on a stream that nobody opened", frame(frameTypes.data, 0, 9, Buffer.from("x")), errorCodes.protocolError],
  [
    "a stream that a server would open",
    frame(frameTypes.headers, 5, 2, headerBlock(requestFields("GET", "/"))),
    errorCodes.protocolError,
  ],
  [
    "a header block that no table explains",
    frame(frameTypes.headers, 5, 1, Buffer.from([0xff, 0xff, 0x7f])),
    errorCodes.compressionError,
  ],
  ["more padding than payload", frame(frameTypes.headers, 0xd, 1, Buffer.from([200, 0x82])), errorCodes.protocolError],
  ["a push", frame(frameTypes.pushPromise, 4, 1, uint32(2)), errorCodes.protocolError],
  [
    "a window beyond all bounds",
    frame(frameTypes.windowUpdate, 0, 0, uint32(2 ** 31 - 1)),
    errorCodes.flowControlError,
  ],
];

test.each(malformed)("%s ends the connection with its code", async (_, bytes, code) => {
  const client = await connect(patient);
  client.socket.write(bytes);
  await client.until(() => client.isClosed);
  expect(client.goAwayCode).toBe(code);
});

test.each([
  ["a header of one hop", [["connection", "close"]]],
  ["capitals in a name", [["X-A", "b"]]],
  ["a line feed in a value", [["x-a", "b\nc: d"]]],
  ["a path that comes twice", [[":path", "/api"]]],
] as const)("%s ends its stream alone", async (_, headers) => {
  const client = await connect(patient);
  const stream = client.begin("GET", "/version", headers);
  await client.until(() => client.resetCode(stream) !== undefined);
  expect(client.resetCode(stream)).toBe(errorCodes.protocolError);
  expect((await client.answer(client.begin("GET", "/version"))).status).toBe(200);
  client.close();
});

test("blanks around a value belong to it, and Go's clients send them where they have no token", async () => {
  const client = await connect(patient);
  const accept = ["accept", " "] as const;
  const [refused, answer] = [
    await client.answer(client.begin("GET", "/api/v1/namespaces", [accept])),
    await client.answer(client.begin("GET", "/api/v1/namespaces", [["authorization", "Bearer "]])),
  ];
  expect([refused.status, answer.status]).toEqual([406, 200]);
  client.close();
});

test("what a client does wrong on a stream that is answered already is told all the same", async () => {
  const client = await connect(patient);
  const answered = client.begin("GET", "/version");
  expect((await client.answer(answered)).status).toBe(200);
  widen(client, answered, 0);
  await client.until(() => client.resetCode(answered) !== undefined);
  expect(client.resetCode(answered)).toBe(errorCodes.protocolError);
  const given = client.begin("GET", "/version", [], false);
  expect((await client.answer(given)).status).toBe(200);
  client.send(frameTypes.reset, 0, given, uint32(errorCodes.cancel));
  client.send(frameTypes.data, flags.endStream, given, Buffer.from("x"));
  await client.heard();
  const codes = client
    .of(given)
    .filter(({ type }) => type === frameTypes.reset)
    .map(({ payload }) => payload.readUInt32BE(0));
  expect(codes).toEqual([errorCodes.noError, errorCodes.streamClosed]);
  client.close();
});

test("many settings in one frame, or one of them twice, end the connection", async () => {
  const unknown = (count: number): [number, number][] => Array.from({ length: count }, (_, index) => [1000 + index, 1]);
  const most = await connect(patient, settings(...unknown(100)));
  expect((await most.answer(most.begin("GET", "/version"))).status).toBe(200);
  most.close();
  for (const each of [unknown(101), [...unknown(3), ...unknown(1)]]) {
    const client = await connect(patient, settings(...each));
    await client.until(() => client.isClosed);
    expect(client.goAwayCode).toBe(errorCodes.protocolError);
  }
});

test("a server that stops says so, and which requests it has seen", async () => {
  const stopping = await startTestServer();
  const client = await connect(stopping);
  const watch = client.begin("GET", "/api/v1/configmaps?watch=true");
  await client.until(() => client.of(watch).length > 0);
  await Promise.all([stopping.stop(), client.until(() => client.isClosed)]);
  const told = client.frames
    .filter(({ type }) => type === frameTypes.goAway)
    .map(({ payload }) => payload.readUInt32BE(0));
  expect(told).toEqual([2 ** 31 - 1, watch]);
  expect(client.goAwayCode).toBe(errorCodes.noError);
});

test("a client whose certificate does not count any more is sent away", async () => {
  const rotated = await startTestServer();
  const client = await connect(rotated);
  expect((await client.answer(client.begin("GET", "/version"))).status).toBe(200);
  const other = await createCertificateAuthority("other");
  rotated.trustClientsOf(other.certificatePem);
  await client.until(() => client.isClosed);
  expect(client.goAwayCode).toBe(errorCodes.noError);
  await rotated.stop();
});

test("a client that reads none of many large answers has them made as it reads", async () => {
  const text = "x".repeat(400_000);
  await patient.client.create(configMaps, {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "very-large", namespace: "default" },
    data: { text },
  });
  const client = await connect(patient, settings([initialWindow, 2 ** 31 - 1]));
  const streams = Array.from({ length: 30 }, () =>
    client.begin("GET", "/api/v1/namespaces/default/configmaps/very-large"),
  );
  const hasHead = (stream: number): boolean => client.of(stream).some(({ type }) => type === frameTypes.headers);
  await client.until(() => streams.some(hasHead));
  await client.heard();
  // The connection's window lets 64 KiB through.
  expect(streams.filter(hasHead).length).toBeLessThan(5);
  // What is small waits for none of them.
  const small = client.begin("GET", "/api/v1/namespaces/default");
  await client.until(() => hasHead(small));
  expect(streams.filter(hasHead).length).toBeLessThan(5);
  widen(client, 0, 2 ** 30);
  for (const answer of await Promise.all(streams.map((stream) => client.answer(stream)))) {
    expect(answer.status).toBe(200);
    expect((JSON.parse(answer.body.toString()) as { data: { text: string } }).data.text).toBe(text);
  }
  client.close();
});
