import { expect, test } from "bun:test";
import type { CustomResourceDefinition } from "#shared/api/types/apiextensions-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { silentLog } from "#shared/client/log.ts";
import { until } from "#shared/testing/until.ts";
import { StoreUnavailableError } from "../../store/store.ts";
import type { ResourceReader } from "../registry/reader.ts";
import { Definitions } from "./definitions.ts";

const names = { plural: "toys", singular: "toy", kind: "Toy", listKind: "ToyList" };
const definition = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "toys.g.example.com", uid: "1" },
  spec: {
    group: "g.example.com",
    scope: "Namespaced",
    names,
    versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object" } } }],
  },
} as unknown as CustomResourceDefinition;

test("a definition whose objects the store could not list is served, and said to be, once it can", async () => {
  let stored: CustomResourceDefinition | undefined;
  let changed: () => void = () => undefined;
  const reader = {
    get: () => stored,
    list: () => (stored ? [stored] : []),
    onChange(_: unknown, listener: (object: CustomResourceDefinition, type: string) => void) {
      changed = () => stored && listener(stored, "MODIFIED");
      return () => undefined;
    },
  } as unknown as ResourceReader;
  const tried: string[] = [];
  const serving = {
    async register() {
      tried.push("served");
      if (tried.length > 1) return;
      throw new StoreUnavailableError("no majority answers");
    },
    unregister: () => undefined,
    hasOwn: () => false,
    endWatches: () => undefined,
  };
  const client = {
    async update(_: unknown, next: CustomResourceDefinition) {
      tried.push("told");
      stored = next;
      changed();
      return next;
    },
  } as unknown as Client;
  const definitions = new Definitions({
    reader,
    serving,
    client,
    webhooks: { call: () => Promise.reject(new Error("there is no webhook")) },
    log: silentLog,
  });
  await definitions.start();
  stored = definition;
  changed();
  await until("it is said to be served", () => tried.includes("told"));
  expect(tried).toEqual(["served", "served", "told"]);
  definitions.stop();
});

test("what is defined while the first ones are taken over is served too", async () => {
  const gameNames = { plural: "games", singular: "game", kind: "Game", listKind: "GameList" };
  const games = {
    ...definition,
    metadata: { name: "games.g.example.com" },
    spec: { ...definition.spec, names: gameNames },
  };
  const conditions = [{ type: "Established", status: "True" }];
  const all = [definition, games].map(
    (each) => ({ ...each, status: { acceptedNames: each.spec.names, conditions } }) as CustomResourceDefinition,
  );
  const present = all.slice(0, 1);
  const listeners = new Set<(object: CustomResourceDefinition, type: string) => void>();
  const reader = {
    get: (_: unknown, { name }: { readonly name: string }) => present.find(({ metadata }) => metadata.name === name),
    list: () => [...present],
    onChange(_: unknown, listener: (object: CustomResourceDefinition, type: string) => void) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  } as unknown as ResourceReader;
  const served: string[] = [];
  const serving = {
    async register({ ref }: { readonly ref: { readonly plural: string } }) {
      served.push(ref.plural);
      const next = all[present.length];
      if (!next) return;
      present.push(next);
      for (const listener of listeners) listener(next, "ADDED");
    },
    unregister: () => undefined,
    hasOwn: () => false,
    endWatches: () => undefined,
  };
  const definitions = new Definitions({
    reader,
    serving,
    client: { update: (_: unknown, next: unknown) => Promise.resolve(next) } as unknown as Client,
    webhooks: { call: () => Promise.reject(new Error("there is no webhook")) },
    log: silentLog,
  });
  await definitions.start();
  await until("both are served", () => served.includes("games"));
  definitions.stop();
});
