import { expect, test } from "bun:test";
import type { KubeObject } from "#shared/api/object.ts";
import type { CachedObject } from "../request.ts";
import { inTurns, jsonPieces, type ListAnswer, listValue } from "./list-pieces.ts";

function item(name: string): CachedObject {
  const object = { apiVersion: "v1", kind: "Thing", metadata: { name }, lines: ["a\nb", { deep: [] }] } as KubeObject;
  const text = (): string => JSON.stringify(object);
  return { key: name, revision: 1, text, bareText: text, view: () => object };
}

const list = (items: readonly CachedObject[]): ListAnswer => ({
  kind: "list",
  code: 200,
  apiVersion: "v1",
  listKind: "ThingList",
  metadata: { resourceVersion: "7" },
  items,
  isBare: false,
});

const shaped = (items: readonly CachedObject[]): ListAnswer => ({
  ...list(items),
  shape: {
    head: { kind: "Table", columnDefinitions: [{ name: "]" }] },
    name: "rows",
    member: ({ key }) => ({ cells: [key] }),
  },
});

test("pieces together are the JSON of the whole, indented or not", () => {
  for (const items of [[], [item("a")], [item("a"), item("b"), item("c")]]) {
    for (const answer of [list(items), shaped(items)]) {
      expect([...jsonPieces(answer, "compact")].join("")).toBe(`${JSON.stringify(listValue(answer))}\n`);
      expect([...jsonPieces(answer, "indented")].join("")).toBe(JSON.stringify(listValue(answer), undefined, 2));
    }
  }
});

test("a long list lets others have their turn and loses nothing", async () => {
  const items = Array.from({ length: 20_000 }, (_, index) => item(`m${index}`));
  let turns = 0;
  let ended = false;
  const tick = (): void => {
    turns += 1;
    if (!ended) setImmediate(tick);
  };
  setImmediate(tick);
  const chunks: string[] = [];
  for await (const chunk of inTurns(jsonPieces(list(items), "indented"))) chunks.push(chunk);
  ended = true;
  expect(JSON.parse(chunks.join("")).items).toHaveLength(20_000);
  expect(chunks.length).toBeGreaterThan(1);
  expect(turns).toBeGreaterThan(chunks.length / 2);
});
