import { describe, expect, test } from "bun:test";
import { inOrder, isManifest, leftOut, ManifestError, parseManifest } from "./manifest.ts";

const configMap = (name: string): string => `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ${name}\n`;

describe("a manifest", () => {
  test("holds any number of documents, and Lists", () => {
    const list = JSON.stringify({
      apiVersion: "v1",
      kind: "List",
      items: [{ apiVersion: "v1", kind: "Secret", metadata: { name: "c" } }],
    });
    const objects = parseManifest(`# nothing\n---\n${configMap("a")}---\n\n---\n${configMap("b")}---\n${list}\n`);
    expect(objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual([
      "ConfigMap a",
      "ConfigMap b",
      "Secret c",
    ]);
    expect(parseManifest("")).toEqual([]);
  });
  test.each([
    ["a: [1", "Flow sequence"],
    ["a: 1\na: 2", "unique"],
    ["just text", "document 1: not an object"],
    ["kind: ConfigMap", "document 1: apiVersion or kind is missing"],
    [
      `${configMap("a")}---\napiVersion: v1\nkind: Pod\nmetadata: {generateName: x-}`,
      "document 2: Pod without metadata.name",
    ],
  ])("that is wrong is refused with where: %p", (text, message) => {
    expect(() => parseManifest(text)).toThrow(ManifestError);
    expect(() => parseManifest(text)).toThrow(message);
  });
  test("is applied with what others need first", () => {
    const kinds = ["Pod", "CustomResourceDefinition", "ConfigMap", "Namespace"];
    const objects = kinds.map((kind) => ({ apiVersion: "v1", kind, metadata: { name: "x" } }));
    expect(inOrder(objects).map(({ kind }) => kind)).toEqual([
      "Namespace",
      "CustomResourceDefinition",
      "Pod",
      "ConfigMap",
    ]);
  });
  test("that was written in another version left nothing out", () => {
    const identity = { apiVersion: "apps/v1beta1", kind: "Deployment", namespace: "default", name: "a" };
    const other = { ...identity, name: "b" };
    expect(leftOut([identity, other], [{ ...identity, apiVersion: "apps/v1" }])).toEqual([other]);
  });
  test("is a file by its ending, unless one beside it says to skip it", () => {
    const all = new Set(["a.yaml", "b.yml", "b.yml.skip", "deep/c.json", ".d.yaml", "e.yaml~", "f.txt"]);
    expect([...all].filter((path) => isManifest(path, all))).toEqual(["a.yaml", "deep/c.json"]);
  });
});
