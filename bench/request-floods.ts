/** The floods of request-flood.ts: kinds of requests, each sent by some connections at once for as long as is asked. */
import { once } from "node:events";
import { connect, type TLSSocket } from "node:tls";
import { frameTypes } from "#shared/http2/frames.ts";
import { Http2Client, settings } from "../test/support/http2-client.ts";

/** Where the server is, and how its admin is known there. */
export interface Place {
  readonly port: number;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

type Told = (answer: string) => void;

export interface Flood {
  prepare?(place: Place): Promise<void>;
  /** Goes on until it is over; what it gives ends what it left open. */
  run(place: Place, isOver: () => boolean, told: Told): Promise<(() => void) | undefined>;
}

const MB = 1024 * 1024;
const LIMIT_BYTES = 3 * MB;
const AT_ONCE = 24;
const maps = "/api/v1/namespaces/default/configmaps";
const gadgets = "/apis/flood.test/v1/namespaces/default/gadgets";

const gadgetDefinition = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "gadgets.flood.test" },
  spec: {
    group: "flood.test",
    scope: "Namespaced",
    names: { plural: "gadgets", singular: "gadget", kind: "Gadget", listKind: "GadgetList" },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
      },
    ],
  },
};

async function opened(place: Place): Promise<TLSSocket> {
  const socket = connect({ host: "127.0.0.1", ALPNProtocols: ["http/1.1"], ...place });
  socket.on("error", () => socket.destroy());
  await once(socket, "secureConnect");
  return socket;
}

/** A connection of HTTP/1.1 that asks one thing after another. */
class Asker {
  readonly #place: Place;
  #socket: TLSSocket | undefined;

  constructor(place: Place) {
    this.#place = place;
  }

  /** The status, or how the connection ended. */
  async ask(method: string, path: string, type = "", body: Buffer = Buffer.alloc(0)): Promise<string> {
    const socket = this.#socket ?? (await opened(this.#place).catch(() => undefined));
    if (!socket) return "refused";
    this.#socket = socket;
    const head = [
      `${method} ${path} HTTP/1.1`,
      "Host: x",
      `Content-Length: ${body.length}`,
      ...(type ? [`Content-Type: ${type}`] : []),
    ];
    socket.write(Buffer.from(`${head.join("\r\n")}\r\n\r\n`));
    socket.write(body);
    return new Promise((resolve) => {
      let text = "";
      let left = Number.POSITIVE_INFINITY;
      const done = (answer: string): void => {
        socket.removeAllListeners("data");
        socket.removeAllListeners("close");
        if (/^connection: close/im.test(text)) socket.destroy();
        if (socket.destroyed) this.#socket = undefined;
        resolve(answer);
      };
      socket.on("close", () => done(text.slice(9, 12) || "closed"));
      socket.on("data", (bytes: Buffer) => {
        if (left !== Number.POSITIVE_INFINITY) left -= bytes.length;
        else {
          text += bytes.toString("latin1");
          const end = text.indexOf("\r\n\r\n");
          if (end < 0) return;
          const length = Number(/^content-length: (\d+)/im.exec(text)?.[1] ?? 0);
          left = length - (text.length - end - 4);
        }
        if (left <= 0) done(text.slice(9, 12));
      });
    });
  }

  end(): void {
    this.#socket?.destroy();
  }
}

/** Asks the same again and again, by some connections at once. */
function asking(
  make: (index: number) => { method?: string; path: string; type: string; body: Buffer },
  { atOnce = AT_ONCE, prepare }: { atOnce?: number; prepare?: Flood["prepare"] } = {},
): Flood {
  return {
    ...(prepare ? { prepare } : {}),
    async run(place, isOver, told) {
      let index = 0;
      const worker = async (): Promise<void> => {
        const asker = new Asker(place);
        while (!isOver()) {
          index += 1;
          const { method = "POST", path, type, body } = make(index);
          told(await asker.ask(method, path, type, body));
        }
        asker.end();
      };
      await Promise.all(Array.from({ length: atOnce }, worker));
      return undefined;
    },
  };
}

async function define(place: Place): Promise<void> {
  const asker = new Asker(place);
  await asker.ask(
    "POST",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "application/json",
    Buffer.from(JSON.stringify(gadgetDefinition)),
  );
  while ((await asker.ask("GET", gadgets)) !== "200") await Bun.sleep(100);
  asker.end();
}

const json = "application/json";
const yaml = "application/yaml";

/** Around a filling that is repeated up to a length. */
function filled(begin: string, filling: string, end: string, bytes = LIMIT_BYTES): Buffer {
  const times = Math.floor((bytes - begin.length - end.length) / filling.length);
  return Buffer.from(begin + filling.repeat(times) + end);
}

const fields = (bytes: number, value: string): string => {
  let text = "";
  for (let index = 0; text.length < bytes; index += 1) text += `"k${index}":${value},`;
  return text.slice(0, -1);
};

const same = (path: string, type: string, body: Buffer, options: Parameters<typeof asking>[1] = {}): Flood =>
  asking(() => ({ path, type, body }), options);

const head = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"flood"},';
const gadgetHead = '{"apiVersion":"flood.test/v1","kind":"Gadget","metadata":{"name":"flood"},';
const dryRun = "?dryRun=All";
const ofGadgets = { prepare: define };

async function putMap(place: Place): Promise<void> {
  const asker = new Asker(place);
  const [begin, end] = [`${head.replace("flood", "large")}"data":{"a":"`, '"}}'];
  await asker.ask("POST", maps, json, filled(begin, "x", end, 900_000));
  asker.end();
}

/** Opens many connections, and does something by each that does not end. */
function holding(connections: number, use: (place: Place, told: Told) => Promise<{ destroy(): void }>): Flood {
  return {
    async run(place, isOver, told) {
      const held: { destroy(): void }[] = [];
      for (let index = 0; index < connections && !isOver(); index += 1) {
        const each = await use(place, told).catch(() => undefined);
        if (each) held.push(each);
      }
      told(`held ${held.length}`);
      return () => {
        for (const each of held) each.destroy();
      };
    },
  };
}

async function stalled(place: Place): Promise<TLSSocket> {
  const socket = await opened(place);
  socket.write(`POST ${maps} HTTP/1.1\r\nHost: x\r\nContent-Type: ${json}\r\nContent-Length: ${LIMIT_BYTES}\r\n\r\n`);
  socket.write(Buffer.alloc(LIMIT_BYTES - 1000, " "));
  return socket;
}

async function streams(
  place: Place,
  told: Told,
  use: (client: Http2Client, index: number) => void,
): Promise<{ destroy(): void }> {
  const client = await Http2Client.connect(place, settings([4, 2 ** 31 - 1]));
  client.send(frameTypes.windowUpdate, 0, 0, Buffer.from([0x7f, 0, 0, 0]));
  for (let index = 0; index < 100; index += 1) use(client, index);
  await client.heard();
  told("connection");
  return { destroy: () => client.close() };
}

const jsonPatch = (): Buffer => {
  const operations = Array.from({ length: 9000 }, (_, index) => ({
    op: "add",
    path: `/data/k${index}`,
    value: "x".repeat(60),
  }));
  return Buffer.from(JSON.stringify(operations));
};

export const floods: Readonly<Record<string, Flood>> = {
  small: asking((index) => ({
    path: maps,
    type: json,
    body: Buffer.from(`${head.replace("flood", `f${index}`)}"data":{"a":"b"}}`),
  })),
  text: same(maps + dryRun, json, filled(`${head}"data":{"a":"`, "x", '"}}')),
  zeros: same(maps, json, filled("[", "0,", "0]")),
  objects: same(maps, json, filled(`${head}"data":[`, "{},", "{}]}")),
  unknown: same(maps + dryRun, json, Buffer.from(`${head}${fields(LIMIT_BYTES - 100, "{}")}}`)),
  strict: same(
    `${maps}${dryRun}&fieldValidation=Strict`,
    json,
    Buffer.from(`${head}${fields(LIMIT_BYTES - 100, "{}")}}`),
  ),
  labels: same(maps + dryRun, json, Buffer.from(`${head}"data":{${fields(LIMIT_BYTES - 200, '""')}}}`)),
  custom: same(
    gadgets + dryRun,
    json,
    Buffer.from(`${gadgetHead}"spec":{${fields(LIMIT_BYTES - 200, "{}")}}}`),
    ofGadgets,
  ),
  customList: same(gadgets + dryRun, json, filled(`${gadgetHead}"spec":[`, "{},", "{}]}"), ofGadgets),
  apply: asking(
    () => ({
      method: "PATCH",
      path: `${gadgets}/flood${dryRun}&fieldManager=flood`,
      type: "application/apply-patch+yaml",
      body: Buffer.from(`${gadgetHead}"spec":{${fields(MB, "{}")}}}`),
    }),
    ofGadgets,
  ),
  yaml: same(
    maps + dryRun,
    yaml,
    filled(`kind: ConfigMap\napiVersion: v1\nmetadata: {name: flood}\ndata: [`, "{}, ", "{}]\n"),
  ),
  yamlLines: same(
    maps + dryRun,
    yaml,
    filled("kind: ConfigMap\napiVersion: v1\nmetadata: {name: flood}\nspec:\n", "- a: b\n", ""),
  ),
  protobuf: same(maps, "application/vnd.kubernetes.protobuf", filled("k8s\0\n\0\u0012\u00ff", "\n\0", "")),
  jsonPatch: asking(
    () => ({ method: "PATCH", path: `${maps}/large${dryRun}`, type: "application/json-patch+json", body: jsonPatch() }),
    { prepare: putMap },
  ),
  slow: holding(500, stalled),
  slowStreams: holding(10, (place, told) =>
    streams(place, told, (client) => {
      const stream = client.begin("POST", maps, [["content-type", json]], false);
      for (let sent = 0; sent < 60_000; sent += 15_000)
        client.send(frameTypes.data, 0, stream, Buffer.alloc(15_000, " "));
    }),
  ),
  connections: holding(5000, async (place) => {
    const asker = new Asker(place);
    await asker.ask("GET", "/version");
    return { destroy: () => asker.end() };
  }),
  watches: holding(50, (place, told) =>
    streams(place, told, (client) => void client.begin("GET", `${maps}?watch=true`)),
  ),
  largeGets: {
    prepare: putMap,
    run: holding(20, async (place) => {
      const client = await Http2Client.connect(place, settings([4, 2 ** 31 - 1]));
      client.socket.pause();
      for (let index = 0; index < 100; index += 1) client.begin("GET", `${maps}/large`);
      return { destroy: () => client.close() };
    }).run,
  },
  longHeads: holding(100, (place, told) =>
    streams(place, told, (client) => void client.begin("GET", `${maps}?watch=true&x=${"a".repeat(12_000)}`)),
  ),
};
