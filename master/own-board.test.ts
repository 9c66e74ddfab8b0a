import { expect, test } from "bun:test";
import { notFound } from "#shared/api/errors.ts";
import { nodes } from "#shared/api/resources.ts";
import type { Client } from "#shared/client/client.ts";
import { markControlPlane } from "./own-board.ts";

test("a master that ends before its own board was registered waits for it no more", async () => {
  const ending = new AbortController();
  let tries = 0;
  const patch = (): Promise<never> => {
    if (++tries > 1) throw new Error("asked again after the end");
    ending.abort(new Error("the master ends"));
    return Promise.reject(notFound(nodes, "a"));
  };
  const marked = markControlPlane({ patch } as unknown as Client, "a", ending.signal);
  await expect(marked).rejects.toThrow("the master ends");
});
