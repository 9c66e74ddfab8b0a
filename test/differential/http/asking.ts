/** How requests are made, and what they find. */
import type { Json, WireGroup } from "../wire/request.ts";
import type { Header, RawRequest } from "./raw-request.ts";

const own = "wire-http";
export const core = `/api/v1/namespaces/${own}`;
export const collection = `${core}/configmaps`;
export const object = `${collection}/held`;
/** Of kinds that a CustomResourceDefinition brings. */
export const custom = "/apis/door.example.com/v1";
export const big = `${collection}/big`;

const post = (path: string, body: Json): WireGroup["requests"][number] => ({
  name: `http setting ${path} ${(body["metadata"] as Json)["name"]}`,
  method: "POST",
  path,
  body,
});
const map = (name: string, data: Json = { a: "b" }): Json => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name },
  data,
});

/** So large that an answer is worth compressing. */
const LARGE_BYTES = 200_000;

/** What the requests find. */
export const setting: WireGroup = {
  name: "http: setting",
  inOrder: true,
  requests: [
    post("/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name: own } }),
    post(collection, map("held")),
    post(collection, map("big", { a: "x".repeat(LARGE_BYTES) })),
    post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {
      apiVersion: "apiextensions.k8s.io/v1",
      kind: "CustomResourceDefinition",
      metadata: { name: "things.door.example.com" },
      spec: {
        group: "door.example.com",
        scope: "Namespaced",
        names: { plural: "things", kind: "Thing" },
        versions: [
          {
            name: "v1",
            served: true,
            storage: true,
            subresources: { status: {} },
            schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
          },
        ],
      },
    }),
  ],
};

/** What they find of a kind that has to be served first. */
export const customSetting: WireGroup = {
  name: "http: custom setting",
  inOrder: true,
  requests: [
    post(`${custom}/namespaces/${own}/things`, {
      apiVersion: "door.example.com/v1",
      kind: "Thing",
      metadata: { name: "held" },
    }),
  ],
};

export type More = Partial<Omit<RawRequest, "name" | "method" | "target">>;

/** Paths whose bodies are their documents' own tests', or change by themselves. */
const isAnyBody = (target: string): boolean =>
  /^\/(openapi|metrics|version|apis?\/?(\?|$)|\.well-known|openid|$|\?)/.test(target);

/** A request by HTTP/1.1 unless `more` says otherwise; its name is made of all of it. */
export const ask = (what: string, method: string, target: string, more: More = {}): RawRequest => ({
  name: `${more.over ?? "http/1.1"} ${what}: ${method} ${target}`,
  over: "http/1.1",
  method,
  target,
  ...(isAnyBody(target) && !(method === "DELETE" && target.startsWith("/metrics")) && { anyBody: true }),
  ...more,
});

export const json: Header = ["Content-Type", "application/json"];
export const made = JSON.stringify(map("made"));
export const dryRun = `${collection}?dryRun=All`;
/** Creates an object, dry. */
export const create = (what: string, { headers = [], body = made, ...more }: More = {}, target = dryRun): RawRequest =>
  ask(what, "POST", target, { headers: [json, ...headers], body, ...more });

export interface RawGroup {
  readonly name: string;
  readonly requests: readonly RawRequest[];
}
