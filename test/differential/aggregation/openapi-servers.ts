/** API servers that publish OpenAPI documents, in several ways, and what they are asked. */
import type { IncomingMessage } from "node:http";
import type { Answerer } from "./backing.ts";
import type { Json } from "./cases.ts";

/** Models of the API server that aggregates, as it publishes them: others have the same. */
export type OwnModels = Readonly<Record<string, Json>>;

export interface PublishingServer {
  readonly name: string;
  readonly groupPriority?: number;
  readonly answer: (own: OwnModels, state: ServerState) => Answerer;
  /** Whether documents are waited for. */
  readonly publishes: boolean;
}

export interface ServerState {
  /** What was asked, in order. */
  readonly asked: Json[];
  /** Set once the server has another document. */
  changed: boolean;
}

const json = "application/json";
const meta = "io.k8s.apimachinery.pkg.apis.meta.v1";
const gvkKey = "x-kubernetes-group-version-kind";
const definition = (name: string): Json => ({ $ref: `#/definitions/${name}` });
const kind = (group: string, name: string): Json => ({ group, version: "v1", kind: name });

function operation(group: string, id: string, answer: Json, parameters: readonly Json[] = []): Json {
  return {
    description: `does ${id}`,
    consumes: ["*/*"],
    produces: [json, "application/yaml"],
    schemes: ["https"],
    tags: ["example"],
    operationId: id,
    ...(parameters.length > 0 ? { parameters } : {}),
    responses: { "200": { description: "OK", schema: answer }, "401": { description: "Unauthorized" } },
    "x-kubernetes-action": "list",
    [gvkKey]: kind(group, "Flunder"),
  };
}

const pretty: Json = { uniqueItems: true, type: "string", description: "Nicely.", name: "pretty", in: "query" };

function document(group: string, own: OwnModels, thing: Json, changed: boolean): Json {
  const path = `/apis/${group}/v1/flunders`;
  return {
    swagger: "2.0",
    info: { title: "Flunders", version: "v1" },
    paths: {
      [path]: {
        get: operation(group, "listFlunder", definition("com.example.FlunderList"), [
          { $ref: "#/parameters/pretty-own" },
          { $ref: "#/parameters/limit-own" },
          { name: "body", in: "body", required: true, schema: definition(`${meta}.DeleteOptions`) },
        ]),
        parameters: [pretty],
      },
      [`${path}/{name}`]: { get: operation(group, "readFlunder", definition("com.example.Thing")) },
      ...(changed ? { [`${path}/{name}/status`]: { get: operation(group, "later", definition("Later")) } } : {}),
      "/apis/elsewhere.example.com/v1/others": {
        get: operation(group, "listOther", definition("com.example.Other")),
      },
      [`/apis/${group}/v1`]: { get: operation(group, "resources", definition("com.example.Other")) },
      "/version/": { get: operation(group, "version", definition("io.k8s.apimachinery.pkg.version.Info")) },
    },
    definitions: {
      "com.example.FlunderList": {
        type: "object",
        description: `of ${group}`,
        required: ["items"],
        properties: {
          items: { type: "array", items: definition("com.example.Thing") },
          status: definition(`${meta}.Status`),
          info: definition("io.k8s.apimachinery.pkg.version.Info"),
        },
        [gvkKey]: [kind(group, "FlunderList")],
      },
      "com.example.Thing": thing,
      "com.example.Other": { type: "object", properties: { only: { type: "string" } } },
      "com.example.Unused": { type: "object", properties: { nobody: { type: "string" } } },
      Later: { type: "object" },
      "io.k8s.apimachinery.pkg.version.Info": own["io.k8s.apimachinery.pkg.version.Info"],
      [`${meta}.DeleteOptions`]: { ...own[`${meta}.DeleteOptions`], [gvkKey]: [kind(group, "DeleteOptions")] },
      [`${meta}.Status`]: { type: "object", description: "Another one.", properties: { code: { type: "integer" } } },
    },
    parameters: {
      "pretty-own": pretty,
      "limit-own": { uniqueItems: true, type: "integer", description: group, name: "limit", in: "query" },
    },
    securityDefinitions: { BearerToken: { type: "apiKey", name: "authorization", in: "header" } },
    security: [{ BearerToken: [] }],
  };
}

/** What OpenAPI 2 has that Kubernetes' own documents have not. */
function unusual(group: string): Json {
  return {
    swagger: "2.0",
    info: { title: "Old", version: "v0", description: "An old one." },
    externalDocs: { description: "more", url: "https://example.com" },
    paths: {
      [`/apis/${group}/v1/gears`]: {
        post: {
          ...operation(group, "createGear", { ...definition("Gear"), description: "the gear" }, [
            { name: "body", in: "body", schema: { description: "all of it", ...definition("Gear") } },
            { name: "dryRun", in: "query", type: "array", items: { type: "string" }, required: true },
            { name: "X-Gear", in: "header", type: "integer", format: "int32", default: 3 },
            { $ref: "#/parameters/shared" },
          ]),
          consumes: [json, "application/yaml"],
          summary: "creates",
          deprecated: true,
          externalDocs: { url: "https://example.com/gear" },
        },
        delete: {
          operationId: "none",
          responses: { default: { description: "whatever" }, "204": { description: "nothing" } },
        },
      },
      "/elsewhere": { get: { operationId: "elsewhere", responses: { "200": { description: "OK" } } } },
    },
    definitions: {
      Gear: {
        type: "object",
        properties: {
          teeth: { type: "integer", format: "int64", minimum: 3, default: 12 },
          next: { ...definition("Gear"), description: "the next" },
          plain: definition("Gear"),
          many: { type: "array", items: definition("Gear") },
          pairs: { type: "array", items: [{ type: "string" }, definition("Gear")] },
          map: { type: "object", additionalProperties: { ...definition("Gear"), default: {} } },
          open: { type: "object", additionalProperties: true },
          both: { allOf: [definition("Gear"), { type: "object" }] },
          any: { description: "anything", "x-kubernetes-preserve-unknown-fields": true },
          "x-mark": { type: "string", "x-mark": 1, enum: ["a", "b"], example: "a" },
        },
      },
    },
    parameters: { shared: { name: "shared", in: "query", type: "string" } },
    responses: { Gone: { description: "gone", schema: definition("Gear") } },
    securityDefinitions: {
      OAuth: { type: "oauth2", flow: "implicit", authorizationUrl: "https://example.com/a", scopes: { all: "all" } },
    },
  };
}

const told = /^(x-remote-(user|group)|accept$|if-none-match)/;

function asked({ url, headers }: IncomingMessage): Json {
  return { url, ...Object.fromEntries(Object.entries(headers).filter(([name]) => told.test(name))) };
}

/** Answers by path; each a body, which is sent as JSON, or a status. */
const serving =
  (group: string, state: ServerState, bodies: () => Readonly<Record<string, object | string | number>>): Answerer =>
  (request, response) => {
    const path = request.url?.split("?")[0] ?? "";
    const list = { kind: "APIResourceList", apiVersion: "v1", groupVersion: `${group}/v1`, resources: [] };
    const body = { [`/apis/${group}/v1`]: list, ...bodies() }[path] ?? 404;
    if (path.startsWith("/openapi")) state.asked.push(asked(request));
    response.statusCode = typeof body === "number" ? body : 200;
    response.setHeader("content-type", json);
    response.setHeader("x-own", "yes");
    response.end(typeof body === "number" ? "" : typeof body === "string" ? body : JSON.stringify(body));
  };

const thing = { type: "object", properties: { size: { type: "string" } }, [gvkKey]: [kind("things", "Thing")] };

function withDocuments(name: string, further: Partial<PublishingServer> = {}, own = thing as Json): PublishingServer {
  const group = `${name}.example.com`;
  return {
    name,
    publishes: true,
    answer: (models, state) => {
      const rest = serving(group, state, () => ({
        "/openapi/v3": {
          paths: {
            [`apis/${group}/v1`]: { serverRelativeURL: `/openapi/v3/apis/${group}/v1?hash=ABC` },
            [`apis/${group}`]: { serverRelativeURL: `/openapi/v3/apis/${group}?hash=DEF` },
            "apis/elsewhere.example.com/v1": { serverRelativeURL: "/openapi/v3/elsewhere" },
          },
        },
        [`/openapi/v3/apis/${group}/v1`]: { openapi: "3.0.0", info: { title: group } },
        [`/openapi/v3/apis/${group}`]: 503,
      }));
      return (request, response) => {
        if (request.url !== "/openapi/v2") return rest(request, response);
        state.asked.push(asked(request));
        const tag = state.changed ? '"two"' : '"one"';
        response.setHeader("etag", tag);
        response.setHeader("content-type", json);
        if (request.headers["if-none-match"] === tag) response.writeHead(304).end();
        else response.end(JSON.stringify(document(group, models, own, state.changed)));
      };
    },
    ...further,
  };
}

const publishingOnly = (
  name: string,
  bodies: (group: string) => Readonly<Record<string, object | string | number>>,
) => ({
  name,
  publishes: false,
  answer: (_: OwnModels, state: ServerState) =>
    serving(`${name}.example.com`, state, () => bodies(`${name}.example.com`)),
});

export const servers: readonly PublishingServer[] = [
  withDocuments("modern"),
  // Of higher priority, so its model keeps the name.
  withDocuments("preferred", { groupPriority: 3000 }, { type: "object", properties: { weight: { type: "number" } } }),
  withDocuments("zlast", {}, { ...thing, [gvkKey]: [kind("apps", "Thing"), kind("zlast", "Thing")] }),
  { ...publishingOnly("legacy", (group) => ({ "/openapi/v2": unusual(group) })), publishes: true },
  publishingOnly("silent-about-it", () => ({})),
  publishingOnly("unreadable", () => ({ "/openapi/v2": "{{{", "/openapi/v3": "{{{" })),
  publishingOnly("refusing", () => ({ "/openapi/v2": 403, "/openapi/v3": 403 })),
  publishingOnly("wrong-shape", () => ({ "/openapi/v2": { swagger: "2.0", paths: [] }, "/openapi/v3": { paths: [] } })),
  publishingOnly("without-paths", () => ({
    "/openapi/v2": { swagger: "2.0", definitions: { "com.example.Pathless": { type: "object" } } },
    "/openapi/v3": {},
  })),
];
