/** Requests about custom resources, each sent to upstream's kube-apiserver (record.ts) and to ours (the test). */

export interface Request {
  readonly name: string;
  readonly path: string;
  readonly method: "POST" | "PATCH";
  readonly body: object;
}

type Json = Readonly<Record<string, unknown>>;

const definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const namespace = "work";
const goods = `/apis/d.example.com/v1/namespaces/${namespace}/goods`;

const crd = (plural: string, schema: Json | undefined, more: Json = {}, version: Json = {}) => ({
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: `${plural}.d.example.com` },
  spec: {
    group: "d.example.com",
    scope: "Namespaced",
    names: { plural, kind: plural.slice(0, 1).toUpperCase() + plural.slice(1, -1) },
    versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: schema }, ...version }],
    ...more,
  },
});
const o = (properties: Json, more: Json = {}): Json => ({ type: "object", properties, ...more });
const spec = (p: Json): Json => o({ spec: p });
const faulty: readonly (readonly [string, object])[] = [
  ["no schema", crd("bads", undefined)],
  ["no type", crd("bads", spec({ properties: { a: { type: "string" } } }))],
  ["root type", crd("bads", { type: "string" })],
  ["no root type", crd("bads", { properties: {} })],
  ["array without items", crd("bads", spec({ type: "array" }))],
  ["bad type", crd("bads", spec({ type: "foo" }))],
  ["null type", crd("bads", spec({ type: "null" }))],
  ["unique", crd("bads", spec({ type: "array", uniqueItems: true, items: { type: "string" } }))],
  [
    "both",
    crd(
      "bads",
      spec({ type: "object", properties: { a: { type: "string" } }, additionalProperties: { type: "string" } }),
    ),
  ],
  ["addprops root", crd("bads", { type: "object", additionalProperties: { type: "string" } })],
  ["pattern", crd("bads", spec({ type: "string", pattern: "(" }))],
  ["default type", crd("bads", spec({ type: "string", default: 1 }))],
  ["default unpruned", crd("bads", spec(o({ a: { type: "string" } }, { default: { b: 1 } })))],
  ["default meta", crd("bads", o({ metadata: o({ name: { type: "string", default: "a" } }) }))],
  ["meta more", crd("bads", o({ metadata: o({ labels: { type: "object" } }) }))],
  ["list type", crd("bads", spec({ type: "array", "x-kubernetes-list-type": "foo", items: { type: "string" } }))],
  ["list map nokeys", crd("bads", spec({ type: "array", "x-kubernetes-list-type": "map", items: { type: "object" } }))],
  [
    "list map key missing",
    crd(
      "bads",
      spec({
        type: "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["a"],
        items: o({ b: { type: "string" } }),
      }),
    ),
  ],
  [
    "list map key optional",
    crd(
      "bads",
      spec({
        type: "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["a"],
        items: o({ a: { type: "string", nullable: true } }),
      }),
    ),
  ],
  [
    "list map scalar",
    crd(
      "bads",
      spec({
        type: "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["a"],
        items: { type: "string" },
      }),
    ),
  ],
  ["set of objects", crd("bads", spec({ type: "array", "x-kubernetes-list-type": "set", items: { type: "object" } }))],
  ["list type on object", crd("bads", spec({ type: "object", "x-kubernetes-list-type": "set" }))],
  ["map type", crd("bads", spec({ type: "string", "x-kubernetes-map-type": "atomic" }))],
  ["map type bad", crd("bads", spec({ type: "object", "x-kubernetes-map-type": "x" }))],
  ["preserve false", crd("bads", spec({ type: "object", "x-kubernetes-preserve-unknown-fields": false }))],
  ["embedded", crd("bads", spec({ type: "object", "x-kubernetes-embedded-resource": true }))],
  [
    "embedded type",
    crd("bads", spec({ "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true })),
  ],
  [
    "ios+preserve",
    crd("bads", spec({ "x-kubernetes-int-or-string": true, "x-kubernetes-preserve-unknown-fields": true })),
  ],
  [
    "anyOf types",
    crd("bads", spec({ type: "object", anyOf: [{ type: "object", properties: { z: { minimum: 1 } } }] })),
  ],
  [
    "anyOf undeclared",
    crd("bads", spec({ type: "object", properties: {}, anyOf: [{ properties: { z: { minimum: 1 } } }] })),
  ],
  ["not default", crd("bads", spec({ type: "object", not: { default: {}, description: "x", nullable: true } }))],
  [
    "oneOf items",
    crd("bads", spec({ type: "array", items: { type: "string" }, oneOf: [{ items: { pattern: "(" } }] })),
  ],
  ["nullable root", crd("bads", { type: "object", nullable: true })],
  [
    "refs",
    crd(
      "bads",
      spec({
        type: "object",
        $ref: "#/x",
        definitions: { a: {} },
        patternProperties: { a: {} },
        id: "x",
        dependencies: { a: ["b"] },
        additionalItems: true,
      }),
    ),
  ],
  ["items array", crd("bads", spec({ type: "array", items: [{ type: "string" }] }))],
  [
    "names",
    {
      ...crd("bads", o({})),
      spec: {
        ...crd("bads", o({})).spec,
        names: { plural: "Bads", kind: "bad kind", singular: "X", shortNames: ["A!"], categories: ["-"] },
      },
    },
  ],
  ["kind=listKind", crd("bads", o({}), { names: { plural: "bads", kind: "Bad", listKind: "Bad" } })],
  ["no names", crd("bads", o({}), { names: {} })],
  ["group", crd("bads", o({}), { group: "x" })],
  ["group2", crd("bads", o({}), { group: "X.y" })],
  ["scope", crd("bads", o({}), { scope: "Foo" })],
  ["noscope", crd("bads", o({}), { scope: "" })],

  ["bad version", crd("bads", o({}), {}, { name: "V1" })],
  ["no versions", crd("bads", o({}), { versions: [] })],
  [
    "columns",
    crd(
      "bads",
      o({}),
      {},
      {
        additionalPrinterColumns: [
          { name: "", type: "foo", jsonPath: "x", format: "y" },
          { name: "a", type: "", jsonPath: "" },
        ],
      },
    ),
  ],
  [
    "scale",
    crd(
      "bads",
      o({}),
      {},
      { subresources: { scale: { specReplicasPath: "", statusReplicasPath: ".foo", labelSelectorPath: ".meta.x" } } },
    ),
  ],
  [
    "selectable",
    crd(
      "bads",
      o({ spec: o({ a: { type: "string" }, b: { type: "object" } }) }),
      {},
      {
        selectableFields: [
          { jsonPath: ".spec.a" },
          { jsonPath: ".spec.a" },
          { jsonPath: ".spec.b" },
          { jsonPath: ".spec.zz" },
          { jsonPath: "" },
          { jsonPath: ".metadata.name" },
        ],
      },
    ),
  ],
  ["conversion", crd("bads", o({}), { conversion: { strategy: "Webhook" } })],
  [
    "conversion2",
    crd("bads", o({}), {
      conversion: {
        strategy: "Webhook",
        webhook: { conversionReviewVersions: ["v9", "v9"], clientConfig: { url: "http://x/y?z#q" } },
      },
    }),
  ],
  [
    "conversion3",
    crd("bads", o({}), {
      conversion: {
        strategy: "None",
        webhook: { conversionReviewVersions: ["v1"], clientConfig: { url: "https://x" } },
      },
    }),
  ],
  ["conversion4", crd("bads", o({}), { conversion: { strategy: "Foo" } })],
  [
    "conversion5",
    crd("bads", o({}), {
      conversion: {
        strategy: "Webhook",
        webhook: {
          conversionReviewVersions: ["v1"],
          clientConfig: { service: { name: "", namespace: "", port: 70000, path: "x" } },
        },
      },
    }),
  ],
  ["deprecation", crd("bads", o({}), {}, { deprecationWarning: "x" })],
  ["deprecation2", crd("bads", o({}), {}, { deprecated: true, deprecationWarning: "" })],
  ["preserve", crd("bads", o({}), { preserveUnknownFields: true })],
  ["name", { ...crd("bads", o({})), metadata: { name: "foo" } }],
  [
    "protected",
    {
      ...crd("bads", o({})),
      metadata: { name: "bads.x.k8s.io" },
      spec: { ...crd("bads", o({})).spec, group: "x.k8s.io" },
    },
  ],
  ["format", crd("formats", spec({ type: "string", format: "foo-bar" }))],
  ["rule empty", crd("bads", spec(o({}, { "x-kubernetes-validations": [{ rule: " " }] })))],
  [
    "rule texts",
    crd(
      "bads",
      spec(
        o(
          { a: { type: "string" } },
          {
            "x-kubernetes-validations": [
              { rule: "true", message: " " },
              { rule: "true", message: "a\nb" },
              { rule: "true\n&& true" },
              { rule: "true", messageExpression: " " },
              { rule: "true", reason: "Foo" },
              { rule: "true", fieldPath: ".zz" },
            ],
          },
        ),
      ),
    ),
  ],
  [
    "rule undeclared",
    crd("bads", spec(o({ a: { type: "string" } }, { "x-kubernetes-validations": [{ rule: "self.b == 1" }] }))),
  ],
  ["rule type", crd("bads", spec(o({ a: { type: "string" } }, { "x-kubernetes-validations": [{ rule: "self.a" }] })))],
  [
    "rule overload",
    crd("bads", spec(o({ a: { type: "string" } }, { "x-kubernetes-validations": [{ rule: "self.a + 1 == 'x'" }] }))),
  ],
  [
    "rule msgexpr",
    crd(
      "bads",
      spec(
        o(
          { a: { type: "string" } },
          { "x-kubernetes-validations": [{ rule: "self.a == ''", messageExpression: "1" }] },
        ),
      ),
    ),
  ],
  [
    "rule oldself set",
    crd(
      "bads",
      spec({
        type: "array",
        items: { type: "string", maxLength: 5, "x-kubernetes-validations": [{ rule: "self == oldSelf" }] },
        maxItems: 5,
      }),
    ),
  ],
  [
    "optionalOldSelf",
    crd(
      "bads",
      spec(o({ a: { type: "string" } }, { "x-kubernetes-validations": [{ rule: "true", optionalOldSelf: true }] })),
    ),
  ],
  [
    "default rule",
    crd("bads", spec(o({ a: { type: "integer", default: 5, "x-kubernetes-validations": [{ rule: "self > 10" }] } }))),
  ],
];

const good = crd(
  "goods",
  o({
    spec: o(
      {
        s: { type: "string", minLength: 2, maxLength: 4, pattern: "^a" },
        e: { type: "string", enum: ["x", "y"] },
        i: { type: "integer", minimum: 1, maximum: 5, multipleOf: 2 },
        xi: { type: "integer", minimum: 1, exclusiveMinimum: true, maximum: 5, exclusiveMaximum: true },
        n: { type: "number" },
        b: { type: "boolean" },
        l: { type: "array", minItems: 1, maxItems: 2, items: { type: "integer" } },
        m: { type: "object", minProperties: 1, maxProperties: 2, additionalProperties: { type: "string" } },
        ios: { "x-kubernetes-int-or-string": true },
        dt: { type: "string", format: "date-time" },
        d: { type: "string", format: "date" },
        by: { type: "string", format: "byte" },
        ip: { type: "string", format: "ipv4" },
        u: { type: "string", format: "uuid" },
        uri: { type: "string", format: "uri" },
        h: { type: "string", format: "hostname" },
        em: { type: "string", format: "email" },
        du: { type: "string", format: "duration" },
        i32: { type: "integer", format: "int32" },
        nul: { type: "string", nullable: true },
        def: { type: "integer", default: 3 },
        set: { type: "array", "x-kubernetes-list-type": "set", items: { type: "string" } },
        map: {
          type: "array",
          "x-kubernetes-list-type": "map",
          "x-kubernetes-list-map-keys": ["a", "b"],
          items: o({ a: { type: "string" }, b: { type: "integer", default: 1 } }, { required: ["a"] }),
        },
        emb: { type: "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true },
        any: {
          type: "object",
          properties: { p: { type: "string" }, q: { type: "integer" } },
          anyOf: [{ required: ["p"] }, { required: ["q"] }],
          not: { required: ["z"] },
          oneOf: [{ properties: { p: { enum: ["1"] } } }, { properties: { q: { minimum: 5 } } }],
        },
        all: { type: "integer", allOf: [{ minimum: 3 }, { maximum: 4 }] },
        r: o({ k: { type: "string" } }, { required: ["k"] }),
        cel: {
          type: "string",
          maxLength: 10,
          "x-kubernetes-validations": [
            { rule: "self.startsWith('a')" },
            { rule: "self.size() < 3", message: "too long", reason: "FieldValueForbidden" },
            { rule: "self[0] == 'a' || true", message: "x" },
          ].slice(0, 2),
        },
        imm: {
          type: "string",
          maxLength: 9,
          "x-kubernetes-validations": [{ rule: "self == oldSelf", message: "immutable" }],
        },
      },
      { "x-kubernetes-validations": [{ rule: "!has(self.i) || !has(self.xi) || self.i < self.xi" }] },
    ),
    status: o({ c: { type: "integer" } }),
  }),
  {},
  { subresources: { status: {}, scale: { specReplicasPath: ".spec.i", statusReplicasPath: ".status.c" } } },
);

const cr = (fields: unknown, more: Json = {}) => ({
  apiVersion: "d.example.com/v1",
  kind: "Good",
  metadata: { name: "x" },
  spec: fields,
  ...more,
});

const values: readonly (readonly [string, unknown])[] = [
  ["s short", { s: "b" }],
  ["s long", { s: "aaaaaa" }],
  ["s num", { s: 1 }],
  ["s null", { s: null }],
  ["enum", { e: "z" }],
  ["enum num", { e: 5 }],
  ["int", { i: 7 }],
  ["int0", { i: 0 }],
  ["float", { i: 2.5 }],
  ["str int", { i: "2" }],
  ["xi", { xi: 5 }],
  ["xi1", { xi: 1 }],
  ["num str", { n: "x" }],
  ["bool", { b: "true" }],
  ["list 0", { l: [] }],
  ["list 3", { l: [1, 2, 3] }],
  ["list type", { l: ["a"] }],
  ["list obj", { l: {} }],
  ["map 0", { m: {} }],
  ["map 3", { m: { a: "1", b: "2", c: "3" } }],
  ["map type", { m: { a: 1 } }],
  ["ios", { ios: true }],
  ["ios float", { ios: 1.5 }],
  ["dt", { dt: "x" }],
  ["d", { d: "2020-13-01" }],
  ["by", { by: "$$" }],
  ["ip", { ip: "1.2.3" }],
  ["u", { u: "x" }],
  ["uri", { uri: "x y" }],
  ["h", { h: "-a-" }],
  ["em", { em: "nope" }],
  ["du", { du: "1x" }],
  ["i32", { i32: 99999999999 }],
  ["nul", { nul: null, def: null }],
  ["set", { set: ["a", "b", "a", "a"] }],
  ["mapdup", { map: [{ a: "x" }, { a: "x", b: 1 }] }],
  ["mapnull", { map: [null] }],
  ["emb", { emb: { kind: "A b" } }],
  ["emb2", { emb: { apiVersion: "a/b/c", kind: "X", metadata: { name: "..", labels: { "a b": "c" } } } }],
  ["any none", { any: {} }],
  ["any z", { any: { p: "1", q: 6 } }],
  ["all", { all: 9 }],
  ["r", { r: {} }],
  ["rtype", { r: [] }],
  ["cel", { cel: "bcd" }],
  ["cel2", { cel: "abcd" }],
  ["msg", { i: 4, xi: 3 }],
  ["spec str", "x"],
  ["blocked", { cel: "b", e: "z" }],
];

const objects: readonly (readonly [string, object])[] = [
  ["meta num", { ...cr({}), metadata: { name: 1 } }],
  ["labels", { ...cr({}), metadata: { name: "x", labels: { a: 1 } } }],
  ["badname", { ...cr({}), metadata: { name: "X_" } }],
  ["fin", { ...cr({}), metadata: { name: "x", finalizers: ["foo", "a.b"] } }],
  ["kind", { ...cr({}), kind: "Foo" }],
  ["noname", { ...cr({}), metadata: {} }],
  ["unknown", { ...cr({ zzz: 1, r: { k: "a", q: 1 } }), bogus: 1 }],
];

const patches: readonly (readonly [string, object])[] = [
  ["imm", { spec: { imm: "b" } }],
  ["scale neg", { spec: { i: -2 } }],
  ["status only", { status: { c: 1 } }],
  ["bad patch", { spec: { l: ["a"] } }],
];

const post = (name: string, path: string, body: object): Request => ({ name, path, method: "POST", body });
const patch = (name: string, path: string, body: object): Request => ({ name, path, method: "PATCH", body });

/** What the objects of the second part are of: it has to be served before they are sent. */
export const definition: Request = post("definition", definitions, good);
export const served = goods;

export const faultyDefinitions: readonly Request[] = faulty.map(([name, body]) =>
  post(`definition: ${name}`, definitions, body),
);

export const requests: readonly Request[] = [
  ...values.map(([name, fields]) => post(`value: ${name}`, `${goods}?dryRun=All`, cr(fields))),
  ...objects.flatMap(([name, body]) => [
    post(`object: ${name}`, `${goods}?dryRun=All`, body),
    post(`object, strictly: ${name}`, `${goods}?dryRun=All&fieldValidation=Strict`, body),
  ]),
  post("create", goods, cr({ s: "abc", imm: "a", i: 2 })),
  ...patches.map(([name, body]) => patch(`patch: ${name}`, `${goods}/x`, body)),
  patch("status of another type", `${goods}/x/status`, { status: { c: "x" } }),
  patch("status below zero", `${goods}/x/status`, { status: { c: -1 } }),
  patch("scale below zero", `${goods}/x/scale`, { spec: { replicas: -1 } }),
  patch("definition: other scope", `${definitions}/goods.d.example.com`, { spec: { scope: "Cluster" } }),
  patch("definition: other kind", `${definitions}/goods.d.example.com`, { spec: { names: { kind: "Other" } } }),
  patch("definition: other plural", `${definitions}/goods.d.example.com`, { spec: { names: { plural: "others" } } }),
  patch("definition: other group", `${definitions}/goods.d.example.com`, { spec: { group: "e.example.com" } }),
];

/** What of an answer must be alike. */
export interface Answer {
  readonly code: number;
  readonly reason: string;
  readonly warning: string;
  /** Empty where there are causes, which say it all. */
  readonly message: string;
  readonly causes: readonly string[];
}

interface Status {
  readonly reason?: string;
  readonly message?: string;
  readonly details?: {
    readonly causes?: readonly { readonly reason?: string; readonly field?: string; readonly message?: string }[];
  };
}

export async function answerOf(response: Response): Promise<Answer> {
  const { reason = "", message = "", details } = (await response.json()) as Status;
  const causes = (details?.causes ?? []).map((cause) => `${cause.reason} ${cause.field}: ${cause.message}`).sort();
  const isFailure = response.status >= 400;
  return {
    code: response.status,
    reason: isFailure ? reason : "",
    warning: response.headers.get("warning") ?? "",
    message: isFailure && causes.length === 0 ? message : "",
    causes,
  };
}

export function sent({ method, body }: Request): { method: string; body: string; headers: Record<string, string> } {
  const type = method === "PATCH" ? "application/merge-patch+json" : "application/json";
  return { method, body: JSON.stringify(body), headers: { "content-type": type } };
}
