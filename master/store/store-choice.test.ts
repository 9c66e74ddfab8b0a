import { expect, test } from "bun:test";
import { parseStoreChoice } from "./store-choice.ts";

test("etcd is named by its members, each reached by TLS, on this board too", () => {
  const choice = parseStoreChoice("etcd=https://a:2379, https://b:2379");
  expect(choice.kind === "etcd" ? choice.endpoints : undefined).toEqual(["https://a:2379", "https://b:2379"]);
  for (const unfit of ["http://127.0.0.1:2379", "http://localhost:2379", "ftp://127.0.0.1", "https://a/b", "a"]) {
    expect(() => parseStoreChoice(`etcd=${unfit}`)).toThrow("https://HOST:2379");
  }
});
