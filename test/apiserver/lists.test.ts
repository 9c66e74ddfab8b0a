/** What clients rely on when they list. */
import { beforeAll, describe, expect, test } from "bun:test";
import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import { connect as connectTls } from "node:tls";
import { gunzipSync } from "node:zlib";
import type { StatusError } from "#shared/api/errors.ts";
import { configMaps } from "#shared/api/resources.ts";
import { rejection } from "../../master/store/store-contract.ts";
import { admin } from "../support/apiserver.ts";
import { type Answer, configMap, startAfterCompaction, startWire } from "./wire.ts";

const wire = startWire();
const { send } = wire;

describe("list", () => {
  const path = "/api/v1/namespaces/pages/configmaps";
  beforeAll(async () => {
    await send("POST", "/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name: "pages" } });
    for (const name of ["a", "b", "c", "d", "e"]) await send("POST", path, configMap(name, { data: { v: "1" } }));
  });

  test("pages show one moment, whatever happens between them", async () => {
    const { body: first } = await send("GET", `${path}?limit=2`);
    expect(first.items.map((item: Answer["body"]) => item.metadata.name)).toEqual(["a", "b"]);
    expect(first.metadata.remainingItemCount).toBe(3);
    await send("DELETE", `${path}/c`);
    await send("POST", path, configMap("bb"));
    const { body: second } = await send("GET", `${path}?limit=2&continue=${first.metadata.continue}`);
    expect(second.items.map((item: Answer["body"]) => item.metadata.name)).toEqual(["c", "d"]);
    expect(second.metadata.resourceVersion).toBe(first.metadata.resourceVersion);
    const { body: third } = await send("GET", `${path}?limit=2&continue=${second.metadata.continue}`);
    expect(third.items.map((item: Answer["body"]) => item.metadata.name)).toEqual(["e"]);
    expect(third.metadata.continue).toBeUndefined();
  });

  test("names of any script come in upstream's order, page after page", async () => {
    const roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
    const names = ["zz-a", "zz-a\0", "zz-\ufffdx", "zz-\uffff", "zz-\u{1f600}"];
    for (const name of ["zz-\u{1f600}", "zz-\uffff", "zz-a\0", "zz-\ud800x", "zz-a"])
      await send("POST", roles, {
        apiVersion: "rbac.authorization.k8s.io/v1",
        kind: "ClusterRole",
        metadata: { name, labels: { names: "any" } },
      });
    const listed: string[] = [];
    for (let next: string | undefined = ""; next !== undefined; ) {
      const { body }: Answer = await send("GET", `${roles}?labelSelector=names%3Dany&limit=1&continue=${next}`);
      listed.push(...body.items.map((item: Answer["body"]) => item.metadata.name));
      next = body.metadata.continue;
    }
    expect(listed).toEqual(names);
    for (const name of names) expect((await send("DELETE", `${roles}/${encodeURIComponent(name)}`)).code).toBe(200);
  });

  test("members are without the kind that the list says", async () => {
    const members = async (query: string, headers: Record<string, string> = {}) =>
      (await send("GET", `/api/v1/namespaces/pages/configmaps${query}`, undefined, headers)).body.items;
    for (const query of ["", "?pretty=true", "?limit=1"]) {
      const [first] = await members(query);
      expect(first.metadata.name).toBe("a");
      expect([query, "kind" in first, "apiVersion" in first]).toEqual([query, false, false]);
    }
  });

  test("as of an exact revision, or not older than one", async () => {
    const { body: before } = await send("GET", path);
    const { resourceVersion } = before.metadata;
    await send("POST", path, configMap("z"));
    const { body: exact } = await send("GET", `${path}?resourceVersion=${resourceVersion}&resourceVersionMatch=Exact`);
    expect(exact.items).toEqual(before.items);
    const { body: newer } = await send(
      "GET",
      `${path}?resourceVersion=${resourceVersion}&resourceVersionMatch=NotOlderThan`,
    );
    expect(newer.items).toHaveLength(before.items.length + 1);
    expect((await send("GET", `${path}?resourceVersionMatch=Exact`)).code).toBe(422);
    expect((await send("GET", `${path}?continue=nonsense`)).code).toBe(400);
    const future = await send("GET", `${path}?resourceVersion=999999999&resourceVersionMatch=NotOlderThan`);
    expect([future.code, future.body.details.causes[0].reason]).toEqual([504, "ResourceVersionTooLarge"]);
  });

  test("a page whose moment is forgotten says how to go on", async () => {
    const expired = Buffer.from(JSON.stringify({ v: "meta.k8s.io/v1", rv: 1, start: "pages/b\u0000" })).toString(
      "base64url",
    );
    const later = await startAfterCompaction(wire.server);
    const client = later.client(admin);
    const error = (await rejection(client.list(configMaps, { namespace: "pages", continue: expired }))) as StatusError;
    expect([error.code, error.reason]).toEqual([410, "Expired"]);
    const next = error.toStatus().metadata?.continue;
    const rest = await client.list(configMaps, { namespace: "pages", continue: next });
    later.stop();
    expect(rest.items.map(({ metadata }) => metadata.name)).not.toContain("b");
    expect(rest.items.map(({ metadata }) => metadata.name)).toContain("d");
  });

  test("tokens of a client's own making lead nowhere else, and have its reads write nothing", async () => {
    const made = (fields: object): string =>
      Buffer.from(JSON.stringify({ v: "meta.k8s.io/v1", start: "pages/b\u0000", ...fields })).toString("base64url");
    const ask = (fields: object) => send("GET", `${path}?continue=${made(fields)}`);
    for (const start of ["kube-system/a", "a", "zzz", "registry/secrets/kube-system/a"]) {
      const { body } = await ask({ rv: -1, start });
      for (const { kind, metadata } of body.items) expect([kind, metadata.namespace]).toEqual([undefined, "pages"]);
    }
    for (const start of ["../secrets/a", "a/../../secrets/a", "/registry/secrets/../a", "./a"])
      expect([start, (await ask({ rv: -1, start })).code]).toEqual([start, 400]);
    for (const rv of [0, 1.5, 1e300, "1"]) expect([rv, (await ask({ rv })).code]).toEqual([rv, 400]);
    // From long before the revision that it names.
    const forged = async (rv?: number): Promise<number> => {
      const { body } = await send("GET", path);
      const now = Number(body.metadata.resourceVersion);
      expect((await ask({ rv: rv ?? now, begun_ms: 1 })).code).toBe(410);
      return now;
    };
    await forged();
    const before = await forged();
    for (const rv of [undefined, undefined, 1e15]) await forged(rv);
    expect(await forged()).toBe(before);
  });

  test("objects in namespaces are not written across them", async () => {
    expect((await send("POST", "/api/v1/configmaps", configMap("nowhere"))).code).toBe(405);
    expect((await send("GET", "/api/v1/namespaces/test/nodes")).code).toBe(404);
    expect((await send("GET", "/api/v1/configmaps")).body.items.length).toBeGreaterThan(5);
  });

  test("unknown selectors are refused", async () => {
    expect((await send("GET", `${path}?fieldSelector=data.v%3D1`)).code).toBe(400);
    expect((await send("GET", `${path}?labelSelector=a%3D%3D%3Db`)).code).toBe(400);
  });

  test("tables and metadata alone", async () => {
    const { body: table } = await send("GET", path, undefined, {
      accept: "application/json;as=Table;v=v1;g=meta.k8s.io",
    });
    expect(table.kind).toBe("Table");
    expect(table.columnDefinitions.map((column: Answer["body"]) => column.name)).toEqual(["Name", "Data", "Age"]);
    expect(table.rows[0].object.kind).toBe("PartialObjectMetadata");
    const { body: partial } = await send("GET", path, undefined, {
      accept: "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
    });
    expect(partial.kind).toBe("PartialObjectMetadataList");
    expect(partial.items[0].data).toBeUndefined();
    const { body: one } = await send("GET", `${path}/a`, undefined, {
      accept: "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
    });
    expect([one.kind, one.metadata.name]).toEqual(["PartialObjectMetadata", "a"]);
  });

  const names = Array.from({ length: 60 }, (_, n) => `big-${n}`);
  const bigData = { v: "x".repeat(10_000) };

  test("large lists arrive whole, in gzip for who asks", async () => {
    await Promise.all(names.map((name) => send("POST", path, configMap(name, { data: bigData }))));
    const response = await wire.server.fetch(path, {
      headers: { "accept-encoding": "gzip" },
      decompress: false,
    } as RequestInit);
    expect(response.headers.get("content-encoding")).toBe("gzip");
    const list = JSON.parse(gunzipSync(Buffer.from(await response.arrayBuffer())).toString());
    expect(list.items.length).toBeGreaterThan(60);
    const plain = await send("GET", path, undefined, { "accept-encoding": "identity" });
    expect(plain.body.items).toEqual(list.items);
  });

  test("gzip compresses for other machines, and only frames for this one", async () => {
    const { issue, authority, url } = wire.server;
    const { certificatePem: cert, keyPem: key } = await issue("kubernetes-admin", ["system:masters"]);
    const bytesOver = async (localAddress: string): Promise<Buffer> => {
      const socket = connectTcp({ host: "127.0.0.1", port: Number(new URL(url).port), localAddress });
      await once(socket, "connect");
      const secured = connectTls({ socket, ca: authority.certificatePem, cert, key, servername: "localhost" });
      secured.write(`GET ${path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\naccept-encoding: gzip\r\n\r\n`);
      const parts: Buffer[] = [];
      for await (const part of secured) parts.push(part as Buffer);
      const answer = Buffer.concat(parts);
      expect(answer.includes("\r\ncontent-encoding: gzip\r\n")).toBe(true);
      return answer;
    };
    const text_bytes = names.length * bigData.v.length;
    expect((await bytesOver("127.0.0.1")).length).toBeGreaterThan(text_bytes);
    expect((await bytesOver("127.0.0.2")).length).toBeLessThan(text_bytes / 2);
  });
});
