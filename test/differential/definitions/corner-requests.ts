/** Definitions and objects in their corners: rules about updates, what is borne with, selectable fields, columns, names. */
import type { OrderedRequest } from "../in-order.ts";
import {
  changed,
  definition,
  definitions,
  group,
  type Json,
  judged,
  list,
  made,
  number,
  object,
  objectsOf,
  ruled,
  text,
} from "./definition.ts";

const inList = (keys: readonly string[], items: Json, more: Json = {}): Json =>
  list(items, { "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys, ...more });

/** What may be looked at by `oldSelf`, and what rules say that fail. */
function updateRequests(): OrderedRequest[] {
  const spec = ruled(
    object({
      fixed: ruled(text(9), { rule: "self == oldSelf", message: "fixed" }),
      grows: ruled(number, {
        rule: "self >= oldSelf",
        messageExpression: "self < 0 ? 'below nothing' : 'shrinks'",
      }),
      once: ruled(text(9), { rule: "oldSelf.orValue(self) == self", optionalOldSelf: true, message: "once" }),
      born: ruled(number, {
        rule: "oldSelf.hasValue() || self == 1",
        optionalOldSelf: true,
        messageExpression: "'begins at ' + 'one'",
      }),
      set: ruled(list(text(5), { "x-kubernetes-list-type": "set", maxItems: 5 }), "oldSelf.all(x, x in self)"),
      items: inList(
        ["id"],
        object({ id: text(5), n: ruled(number, { rule: "self >= oldSelf", fieldPath: "" }) }, { required: ["id"] }),
        { maxItems: 5 },
      ),
      atomic: ruled(list(text(5), { maxItems: 5 }), "self.size() >= oldSelf.size()"),
      map: { type: "object", additionalProperties: ruled(number, "self >= oldSelf"), maxProperties: 5 },
      pair: ruled(
        object({ from: number, to: number, inner: object({ deep: text(9), "a-b": text(9) }) }),
        {
          rule: "!has(self.from) || self.from < self.to",
          fieldPath: ".from",
          reason: "FieldValueForbidden",
          message: "from before to",
        },
        {
          rule: "!has(self.inner) || self.inner.deep != 'x'",
          fieldPath: ".inner.deep",
          reason: "FieldValueRequired",
          message: "not x",
        },
        {
          rule: "!has(self.inner) || !has(self.inner.a__dash__b) || self.inner.a__dash__b != 'y'",
          fieldPath: "['inner']['a-b']",
          reason: "FieldValueDuplicate",
          message: "not y",
        },
      ),
      texts: ruled(
        text(60),
        { rule: "self != 'empty'", messageExpression: "''", message: "fixed text" },
        { rule: "self != 'spaces'", messageExpression: "'   '" },
        { rule: "self != 'lines'", messageExpression: "'a\\nb'", message: "one line" },
        { rule: "self != 'fails'", messageExpression: "string(1 / (self.size() - 5))", message: "cannot divide" },
        { rule: "self != 'failing'", messageExpression: "string(1 / (self.size() - 7))" },
        { rule: "self != 'both'", messageExpression: "'said: ' + self", message: "not said" },
        { rule: "self != 'error' || 1 / (self.size() - 5) == 1" },
        { rule: "self != 'index' || [1][self.size()] == 1", message: "out of it" },
      ),
      either: ruled(
        { "x-kubernetes-int-or-string": true, maxLength: 9 },
        "type(self) == int ? self < 10 : self.matches('^[0-9]+%$')",
      ),
      day: ruled({ type: "string", format: "date" }, "self > timestamp('2020-01-01T00:00:00Z')"),
      wait: ruled({ type: "string", format: "duration" }, "self < duration('1h')"),
      data: ruled({ type: "string", format: "byte", maxLength: 20 }, "self == b'abc'"),
      none: ruled({ ...text(9), nullable: true }, "self != 'x'"),
    }),
    { rule: "!has(self.pair) || has(self.grows)", message: "a pair grows" },
    { rule: "has(self.fixed) == has(oldSelf.fixed)", message: "fixed neither comes nor goes" },
  );
  const { tried, create, patch } = objectsOf("rulers");
  const start = {
    fixed: "a",
    grows: 5,
    once: "o",
    born: 1,
    set: ["a", "b"],
    items: [{ id: "x", n: 3 }, { id: "y" }],
    atomic: ["a", "b"],
    map: { k: 3 },
  };
  const creates: readonly (readonly [string, Json])[] = [
    ["born", { born: 2 }],
    ["pair without growth", { pair: { from: 1, to: 2 } }],
    ["pair turned", { grows: 1, pair: { from: 2, to: 1 } }],
    ["deep", { grows: 1, pair: { inner: { deep: "x" } } }],
    ["dashed", { grows: 1, pair: { inner: { deep: "a", "a-b": "y" } } }],
    ["a missing field", { grows: 1, pair: { from: 1 } }],
    ["a field of a missing one", { grows: 1, pair: { inner: {} } }],
    ...["empty", "spaces", "lines", "fails", "failing", "both", "error", "index"].map(
      (each) => [`text ${each}`, { texts: each }] as const,
    ),
    ["either number", { either: 11 }],
    ["either text", { either: "11" }],
    ["either percentage", { either: "11%" }],
    ["old day", { day: "2019-05-05" }],
    ["no day", { day: "2019-05" }],
    ["long wait", { wait: "2h" }],
    ["no wait", { wait: "x" }],
    ["data", { data: "eHl6" }],
    ["null", { none: null }],
    ["too long for its rule", { fixed: "aaaaaaaaaaaaa", born: 3 }],
    ["of the wrong type", { grows: "a", born: 3 }],
    ["too many", { set: ["a", "b", "c", "d", "e", "f"], born: 3 }],
    ["doubled", { set: ["a", "a"], born: 3 }],
    ["below its minimum and a rule", { map: { k: "x" }, born: 3 }],
  ];
  const patches: readonly (readonly [string, Json])[] = [
    ["fixed changes", { fixed: "b" }],
    ["fixed goes", { fixed: null }],
    ["shrinks", { grows: 4 }],
    ["once changes", { once: "p" }],
    ["once goes", { once: null }],
    ["born changes", { born: 7 }],
    ["set loses", { set: ["a"] }],
    ["set turns round", { set: ["b", "a"] }],
    ["an item shrinks", { items: [{ id: "x", n: 2 }] }],
    [
      "an item moves",
      {
        items: [
          { id: "z", n: 1 },
          { id: "x", n: 2 },
        ],
      },
    ],
    ["an item is new", { items: [{ id: "w", n: -1 }] }],
    ["an item gets a value", { items: [{ id: "y", n: -1 }] }],
    ["atomic shrinks", { atomic: ["a"] }],
    ["a value of a map shrinks", { map: { k: 2 } }],
    ["a value of a map is new", { map: { l: -1 } }],
    ["several at once", { fixed: "c", grows: 1, map: { k: 0 } }],
  ];
  return [
    ...made("rulers", spec),
    ...creates.map(([name, fields]) => tried(name, fields)),
    create("one", start),
    ...patches.map(([name, fields]) => patch(name, "one", { spec: fields })),
  ];
}

/** What was wrong before a schema was made stricter is borne with until it changes (KEP-4008). */
function ratchetRequests(): OrderedRequest[] {
  const loose = object({
    s: text(),
    n: number,
    o: object({ a: text(), b: text() }),
    list: list(object({ k: text(), v: text() })),
    keyed: inList(["k"], object({ k: text(), v: text(), w: number }, { required: ["k"] })),
    set: list(text(), { "x-kubernetes-list-type": "set" }),
    map: { type: "object", additionalProperties: text() },
    any: { "x-kubernetes-preserve-unknown-fields": true },
    e: text(),
    req: object({ a: text(), b: text() }),
    f: text(),
    x: { "x-kubernetes-int-or-string": true },
  });
  const short = { type: "string", maxLength: 3 };
  const strict = ruled(
    object({
      s: { type: "string", minLength: 3, pattern: "^a" },
      n: { type: "integer", minimum: 10, multipleOf: 5 },
      o: ruled(object({ a: short, b: short }), { rule: "self.a == self.b", message: "a is b" }),
      list: list(object({ k: text(9), v: short }), { maxItems: 3 }),
      keyed: inList(
        ["k"],
        ruled(
          object(
            { k: text(9), v: short, w: ruled(number, { rule: "self > 0", message: "above 0" }) },
            { required: ["k"] },
          ),
          { rule: "!has(self.v) || self.v != 'bad'", message: "not bad" },
        ),
        { maxItems: 3 },
      ),
      set: list(short, { "x-kubernetes-list-type": "set", maxItems: 2 }),
      map: { type: "object", additionalProperties: ruled(text(9), "self != 'bad'"), maxProperties: 2 },
      any: { "x-kubernetes-preserve-unknown-fields": true, type: "object" },
      e: { type: "string", enum: ["x", "y"] },
      req: object({ a: text(), b: text() }, { required: ["a"], minProperties: 1 }),
      f: { type: "string", format: "date" },
      x: {
        "x-kubernetes-int-or-string": true,
        maximum: 3,
        pattern: "^[a-z]+$",
      },
    }),
    { rule: "!has(self.n) || self.n != 7", message: "not seven" },
  );
  const { create, patch, tried, path } = objectsOf("ratchets");
  const bad = {
    s: "b",
    n: 7,
    o: { a: "long1", b: "long2" },
    list: [
      { k: "a", v: "long" },
      { k: "b", v: "longer" },
    ],
    keyed: [{ k: "a", v: "long" }, { k: "b", v: "bad", w: -1 }, { k: "c" }, { k: "d", w: 0 }],
    set: ["long1", "long2", "c"],
    map: { a: "bad", b: "bad", c: "fine" },
    any: "text",
    e: "z",
    req: { b: "x" },
    f: "no date",
    x: 9,
  };
  const patches: readonly (readonly [string, Json])[] = [
    ["nothing of it", {}],
    ["another bad s", { s: "c" }],
    ["a better s", { s: "abc" }],
    ["another bad n", { n: 9 }],
    ["n at a rule", { n: 10 }],
    ["one half of o", { o: { a: "ok" } }],
    ["o by its rule", { o: { a: "abc", b: "abd" } }],
    ["o good", { o: { a: "abc", b: "abc" } }],
    [
      "an item of an atomic list",
      {
        list: [
          { k: "a", v: "long" },
          { k: "b", v: "ok" },
        ],
      },
    ],
    [
      "an atomic list grows",
      {
        list: [
          { k: "a", v: "long" },
          { k: "b", v: "longer" },
          { k: "c", v: "c" },
          { k: "d", v: "d" },
        ],
      },
    ],
    [
      "an atomic list turned round",
      {
        list: [
          { k: "b", v: "longer" },
          { k: "a", v: "long" },
        ],
      },
    ],
    [
      "keyed turned round",
      { keyed: [{ k: "d", w: 0 }, { k: "c" }, { k: "b", v: "bad", w: -1 }, { k: "a", v: "long" }] },
    ],
    [
      "keyed without one",
      {
        keyed: [
          { k: "a", v: "long" },
          { k: "b", v: "bad", w: -1 },
          { k: "d", w: 0 },
        ],
      },
    ],
    [
      "keyed with another",
      { keyed: [{ k: "a", v: "long" }, { k: "b", v: "bad", w: -1 }, { k: "c" }, { k: "d", w: 0 }, { k: "e" }] },
    ],
    ["a part of a keyed item", { keyed: [{ k: "b", v: "bad", w: 1 }] }],
    ["another part of a keyed item", { keyed: [{ k: "b", v: "fine", w: -1 }] }],
    ["a new bad keyed item", { keyed: [{ k: "z", v: "bad", w: -1 }] }],
    ["a set turned round", { set: ["c", "long2", "long1"] }],
    ["a set with one less", { set: ["long1", "c"] }],
    ["a set with another long one", { set: ["long3", "c"] }],
    ["a value of a map changes", { map: { a: "fine" } }],
    ["a bad value comes to a map", { map: { a: null, d: "bad" } }],
    ["a map grows", { map: { d: "fine" } }],
    ["any changes", { any: "another" }],
    ["any becomes right", { any: { a: 1 } }],
    ["another bad e", { e: "w" }],
    ["req changes beside", { req: { b: "y" } }],
    ["req becomes empty", { req: { b: null } }],
    ["another bad date", { f: "none" }],
    ["x another number", { x: 8 }],
    ["x a text", { x: "ABC" }],
    ["x good", { x: 2 }],
  ];
  return [
    ...made("ratchets", loose),
    create("one", bad),
    {
      name: "ratchets become strict",
      method: "PATCH",
      path: `${definitions}/ratchets.${group}`,
      type: "application/merge-patch+json",
      body: {
        spec: {
          versions: [
            { name: "v1", served: true, storage: true, schema: { openAPIV3Schema: object({ spec: strict }) } },
          ],
        },
      },
      until: 200,
    },
    // The stricter schema is there once it refuses something.
    { ...tried("is strict", { s: "b" }), name: "ratchets are strict", until: 422 },
    tried("all of it anew", bad),
    ...patches.map(([name, fields]) => patch(name, "one", { spec: fields })),
    {
      name: "ratchets: put back unchanged",
      method: "PATCH",
      path: `${path}/one`,
      type: "application/merge-patch+json",
      body: { metadata: { labels: { a: "b" } } },
    },
  ];
}

/** Rules that cost too much when they run. */
function runRequests(): OrderedRequest[] {
  const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
  const spec = object({
    square: ruled(list(number, { maxItems: 1000 }), {
      rule: "self.all(x, self.all(y, x + y >= 0))",
      message: "all pairs",
    }),
    each: list(
      ruled(number, { rule: "[0,1,2,3,4,5,6,7,8,9].all(a, [0,1,2,3,4,5,6,7,8,9].all(b, a + b + self >= 0))" }),
      { maxItems: 5000 },
    ),
    text: ruled(text(100_000), { rule: "self.matches('^(a|b|c|d|e|f)*$')" }),
    message: ruled(list(number, { maxItems: 800 }), {
      rule: "self.size() < 3",
      messageExpression: "string(self.map(x, self.map(y, x + y).size()).size())",
      message: "fixed",
    }),
    long: ruled(text(10_000), { rule: "self.size() < 3", messageExpression: "self + self" }),
  });
  const { tried } = objectsOf("runners");
  return [
    ...made("runners", spec),
    tried("few pairs", { square: numbers(10) }),
    tried("many pairs", { square: numbers(1000) }),
    tried("few each", { each: numbers(10) }),
    tried("very many each", { each: numbers(5000) }),
    tried("text", { text: "abc".repeat(10) }),
    tried("long text", { text: "abc".repeat(30_000) }),
    tried("message", { message: numbers(5) }),
    tried("dear message", { message: numbers(800) }),
    tried("long message", { long: "a".repeat(2000) }),
    tried("too long message", { long: "a".repeat(3000) }),
  ];
}

function shapeRequests(): OrderedRequest[] {
  const spec = object({
    kept: {
      type: "object",
      "x-kubernetes-preserve-unknown-fields": true,
      properties: { a: number, o: object({ b: text() }) },
    },
    keptBelow: object({ o: { type: "object", "x-kubernetes-preserve-unknown-fields": true } }),
    free: { "x-kubernetes-preserve-unknown-fields": true },
    either: { "x-kubernetes-int-or-string": true },
    eitherList: list({ "x-kubernetes-int-or-string": true }),
    embedded: {
      type: "object",
      "x-kubernetes-embedded-resource": true,
      properties: { spec: object({ a: number }) },
    },
    embeddedFree: {
      type: "object",
      "x-kubernetes-embedded-resource": true,
      "x-kubernetes-preserve-unknown-fields": true,
    },
    defaults: object({
      a: { ...number, default: 1 },
      o: { ...object({ b: { ...text(), default: "x" } }), default: {} },
      l: { ...list(text()), default: ["p"] },
    }),
    nul: { ...text(), nullable: true },
    nulDefault: { ...text(), nullable: true, default: "d" },
    set: list(number, { "x-kubernetes-list-type": "set" }),
    setOfLists: list(list(number, { "x-kubernetes-list-type": "atomic" }), { "x-kubernetes-list-type": "set" }),
    two: inList(["a", "b"], object({ a: text(), b: { ...number, default: 2 }, c: text() }, { required: ["a"] })),
    atomic: object({ x: text(), y: text() }, { "x-kubernetes-map-type": "atomic" }),
    big: { type: "integer", format: "int64" },
    f: { type: "number", format: "float" },
  });
  const { tried } = objectsOf("shapes");
  const cases: readonly (readonly [string, Json])[] = [
    ["kept unknown", { kept: { z: { y: 1 }, a: 1 } }],
    ["kept, wrong", { kept: { a: "x" } }],
    ["kept, pruned below", { kept: { o: { c: 1, b: "x" } } }],
    ["kept below", { keptBelow: { o: { c: [1] }, p: 1 } }],
    ["free list", { free: [1, "a", { b: null }] }],
    ["either list", { eitherList: [1, "a", "3%"] }],
    ["either bad", { eitherList: [1, true, null, 1.5] }],
    ["either object", { either: {} }],
    ["embedded empty", { embedded: {} }],
    ["embedded fine", { embedded: { apiVersion: "v1", kind: "Pod", metadata: { name: "a" }, spec: { a: 1, b: 2 } } }],
    [
      "embedded bad metadata",
      { embedded: { apiVersion: "v1", kind: "Pod", metadata: { name: 5, foo: "x", labels: { a: 1 } } } },
    ],
    ["embedded bad name", { embedded: { apiVersion: "v1", kind: "pod", metadata: { name: "A_b", namespace: "-" } } }],
    ["embedded free", { embeddedFree: { apiVersion: "x/y/z", kind: "", metadata: {}, other: 1 } }],
    ["embedded unknown", { embedded: { apiVersion: "v1", kind: "Pod", other: 1 } }],
    ["defaults none", { defaults: {} }],
    ["defaults null", { defaults: { a: null, o: null, l: null } }],
    ["defaults inner", { defaults: { o: {} } }],
    ["null", { nul: null, nulDefault: null }],
    ["null where none may be", { big: null }],
    ["null in a list", { set: [1, null] }],
    ["set doubled", { set: [1, 2, 1] }],
    [
      "set of lists doubled",
      {
        setOfLists: [
          [1, 2],
          [2, 1],
          [1, 2],
        ],
      },
    ],
    ["two keys doubled", { two: [{ a: "x" }, { a: "x", b: 2 }] }],
    ["two keys apart", { two: [{ a: "x" }, { a: "x", b: 3 }] }],
    ["two keys, one missing", { two: [{ b: 3 }] }],
    ["two keys, wrong type", { two: [{ a: "x", b: "y" }] }],
    ["big", { big: "9223372036854775807" }],
    ["float for integer", { big: 1.0 }],
    ["real float for integer", { big: 1.5 }],
    ["f", { f: 3 }],
    ["a list for a map", { atomic: [] }],
    ["a text for a list", { set: "a" }],
  ];
  return [
    ...made("shapes", spec),
    ...cases.map(([name, fields]) => tried(name, fields)),
    ...["kept unknown", "embedded unknown", "embedded fine", "kept below"].map((name) => {
      const fields = cases.find(([each]) => each === name)?.[1] ?? {};
      const request = tried(`${name}, strictly`, fields);
      return { ...request, path: `${request.path}&fieldValidation=Strict` };
    }),
  ];
}

/** Faults of definitions themselves. */
function faultRequests(): OrderedRequest[] {
  const fields = (...paths: readonly string[]) => ({ selectableFields: paths.map((jsonPath) => ({ jsonPath })) });
  const column = (more: Json): Json => ({
    additionalPrinterColumns: [{ name: "A", type: "string", jsonPath: ".spec.a", ...more }],
  });
  const scale = (more: Json): Json => ({
    subresources: { scale: { specReplicasPath: ".spec.n", statusReplicasPath: ".status.n", ...more } },
  });
  const wide = object({
    a: text(),
    n: number,
    q: { type: "boolean" },
    f: { type: "number" },
    o: object({ b: text(), "c-d": text() }),
    l: list(text()),
    m: { type: "object", additionalProperties: text() },
    any: { "x-kubernetes-preserve-unknown-fields": true },
    i: { "x-kubernetes-int-or-string": true },
    nul: { ...text(), nullable: true },
  });
  const versions: readonly (readonly [string, Json])[] = [
    ["selectable", fields(".spec.a", ".spec.n", ".spec.q", ".spec.o.b")],
    ["selectable float", fields(".spec.f")],
    ["selectable list", fields(".spec.l", ".spec.l[0]")],
    ["selectable map", fields(".spec.m", ".spec.m.a")],
    ["selectable object", fields(".spec.o")],
    ["selectable free", fields(".spec.any", ".spec.any.x")],
    ["selectable either", fields(".spec.i")],
    ["selectable nullable", fields(".spec.nul")],
    ["selectable dashed", fields(".spec.o['c-d']", ".spec.o.c-d")],
    ["selectable without a dot", fields("spec.a")],
    ["selectable metadata", fields(".metadata.name", ".metadata.labels")],
    ["selectable kind", fields(".kind", ".apiVersion")],
    ["selectable nothing", fields("", ".")],
    ["selectable twice", fields(".spec.a", ".spec.a")],
    ["nine selectable", fields(...Array.from({ length: 9 }, () => ".spec.a"))],
    ["column", column({})],
    ["column of no type", column({ type: "object" })],
    ["column of a format", column({ type: "integer", format: "int64" })],
    ["column of a wrong format", column({ format: "weird" })],
    ["column without a path", column({ jsonPath: "" })],
    ["column of a wrong path", column({ jsonPath: "spec.a" })],
    ["column of an open path", column({ jsonPath: ".spec.l[" })],
    ["column of a filter", column({ jsonPath: '.spec.l[?(@.a=="b")].c' })],
    ["column of a nameless name", column({ name: "" })],
    ["scale", scale({})],
    ["scale without dot", scale({ specReplicasPath: "spec.n" })],
    ["scale of status", scale({ specReplicasPath: ".status.n" })],
    ["scale with brackets", scale({ specReplicasPath: ".spec.l[0]" })],
    ["scale status of spec", scale({ statusReplicasPath: ".spec.n" })],
    ["scale without status", scale({ statusReplicasPath: "" })],
    ["scale selector", scale({ labelSelectorPath: ".status.sel" })],
    ["scale selector of metadata", scale({ labelSelectorPath: ".metadata.labels" })],
    ["scale selector of spec", scale({ labelSelectorPath: ".spec.sel" })],
    ["both subresources", { subresources: { status: {}, ...((scale({})["subresources"] ?? {}) as Json) } }],
  ];
  const specs: readonly (readonly [string, Json])[] = [
    ["default of wrong type", object({ a: { ...text(), default: 5 } })],
    ["default too long", object({ a: { ...text(2), default: "abc" } })],
    ["default out of enum", object({ a: { ...text(), enum: ["x"], default: "y" } })],
    ["default with unknown", object({ a: { ...object({ b: text() }), default: { c: 1 } } })],
    ["default lacks required", object({ a: { ...object({ b: text() }, { required: ["b"] }), default: {} } })],
    [
      "default filled by a default",
      object({ a: { ...object({ b: { ...text(), default: "x" } }, { required: ["b"] }), default: {} } }),
    ],
    ["default null", object({ a: { ...text(), default: null } })],
    ["default null of nullable", object({ a: { ...text(), nullable: true, default: null } })],
    [
      "default against a rule",
      object({ a: { ...ruled(text(5), { rule: "self == 'x'", message: "x alone" }), default: "y" } }),
    ],
    ["default against a rule about updates", object({ a: { ...ruled(text(5), "self == oldSelf"), default: "y" } })],
    [
      "default list doubled",
      object({ a: { ...list(text(), { "x-kubernetes-list-type": "set" }), default: ["a", "a"] } }),
    ],
    ["default in a list", object({ a: list({ ...object({ b: number }), default: { b: "x" } }) })],
    [
      "default embedded",
      object({
        a: {
          type: "object",
          "x-kubernetes-embedded-resource": true,
          "x-kubernetes-preserve-unknown-fields": true,
          default: { kind: "x y" },
        },
      }),
    ],
    [
      "rule of a list of maps",
      object({ a: ruled(inList(["k"], object({ k: text() }, { required: ["k"] })), "self[0].k == oldSelf[0].k") }),
    ],
    ["rule on a free field", object({ a: ruled({ "x-kubernetes-preserve-unknown-fields": true }, "self == 1") })],
    [
      "rule on a kept object",
      object({ a: ruled({ type: "object", "x-kubernetes-preserve-unknown-fields": true }, "self.b == 1") }),
    ],
    [
      "rule with reserved names",
      ruled(
        object({ namespace: text(5), "a.b": text(5), "x/y": text(5), __a: text(5) }),
        "self.__namespace__ == self.a__dot__b && self.x__slash__y == self.__underscores__a",
      ),
    ],
    ["rule with a bad reserved name", ruled(object({ namespace: text(5) }), "self.namespace == ''")],
    ["rule calls nothing", ruled(object({ a: text(5) }), "self.a.foo()")],
    ["rule compares types", ruled(object({ a: text(5), n: number }), "self.a == self.n")],
    [
      "rule on a wrong literal",
      ruled(object({ a: text(5) }), "self.a.matches('(') || duration('x') == duration('1s')"),
    ],
    ["rule mixes a list", ruled(object({ a: text(5) }), "[1, 'a'].size() == 2")],
    ["rule does not parse", ruled(object({ a: text(5) }), "self.a ==")],
    ["rule of two faults", ruled(object({ a: text(5) }), "self.b == self.c")],
    ["rule at metadata", object({ a: text(5) })],
    [
      "messageExpression of a number",
      ruled(object({ n: number }), { rule: "self.n > 1", messageExpression: "self.n" }),
    ],
    ["messageExpression unknown", ruled(object({ n: number }), { rule: "self.n > 1", messageExpression: "self.m" })],
    [
      "messageExpression and a bad rule",
      ruled(object({ n: number }), { rule: "self.m > 1", messageExpression: "self.m" }),
    ],
    ["reason unknown", ruled(object({ n: number }), { rule: "self.n > 1", reason: "Whatever" })],
    [
      "fieldPath into a list",
      ruled(object({ l: list(object({ a: text() })) }), { rule: "true", fieldPath: ".l[0].a" }),
    ],
    [
      "fieldPath into a map",
      ruled(object({ m: { type: "object", additionalProperties: text() } }), { rule: "true", fieldPath: ".m.key" }),
    ],
    [
      "fieldPath quoted",
      ruled(
        object({ "a.b": text(), "c-d": text() }),
        { rule: "true", fieldPath: "['a.b']" },
        { rule: "true", fieldPath: ".c-d" },
      ),
    ],
    ["fieldPath without a dot", ruled(object({ a: text() }), { rule: "true", fieldPath: "a" })],
    ["optionalOldSelf false", ruled(object({ a: text() }), { rule: "self.a == oldSelf.a", optionalOldSelf: false })],
    [
      "oldSelf within an atomic list",
      object({ l: list(object({ a: ruled(text(5), "self == oldSelf") }), { maxItems: 5 }) }),
    ],
    [
      "oldSelf within an atomic map",
      object({ m: object({ a: ruled(text(5), "self == oldSelf") }, { "x-kubernetes-map-type": "atomic" }) }),
    ],
    [
      "list type and items",
      object({
        l: {
          type: "array",
          "x-kubernetes-list-type": "map",
          "x-kubernetes-list-map-keys": ["a", "a"],
          items: object({ a: object({}) }, { required: ["a"] }),
        },
      }),
    ],
    ["keys without map", object({ l: list(object({ a: text() }), { "x-kubernetes-list-map-keys": ["a"] }) })],
    [
      "set of maps",
      object({ l: list({ type: "object", "x-kubernetes-map-type": "granular" }, { "x-kubernetes-list-type": "set" }) }),
    ],
    ["int-or-string of a type", object({ a: { type: "string", "x-kubernetes-int-or-string": true } })],
    [
      "int-or-string with anyOf",
      object({ a: { "x-kubernetes-int-or-string": true, anyOf: [{ type: "integer" }, { type: "string" }] } }),
    ],
    [
      "int-or-string with the wrong anyOf",
      object({ a: { "x-kubernetes-int-or-string": true, anyOf: [{ type: "string" }, { type: "integer" }] } }),
    ],
    [
      "int-or-string in allOf",
      object({
        a: {
          "x-kubernetes-int-or-string": true,
          allOf: [{ anyOf: [{ type: "integer" }, { type: "string" }] }, { pattern: "a" }],
        },
      }),
    ],
    ["embedded without type", object({ a: { "x-kubernetes-embedded-resource": true } })],
    [
      "embedded with properties of metadata",
      object({
        a: {
          type: "object",
          "x-kubernetes-embedded-resource": true,
          properties: { metadata: object({ name: text(), labels: object({}) }), kind: number },
        },
      }),
    ],
    ["type in anyOf", object({ a: { type: "string", anyOf: [{ type: "string" }, { default: "a" }] } })],
    ["nullable in not", object({ a: { type: "string", not: { nullable: true } } })],
    ["additionalProperties in allOf", object({ a: { type: "object", allOf: [{ additionalProperties: text() }] } })],
    ["additionalProperties false", object({ a: { type: "object", additionalProperties: false } })],
    [
      "additionalProperties true and properties",
      object({ a: { type: "object", additionalProperties: true, properties: { b: text() } } }),
    ],
    ["pattern wrong in a list", object({ l: list({ type: "string", pattern: "[" }) })],
    ["negative lengths", object({ a: { type: "string", minLength: -1, maxLength: -2 } })],
    ["multipleOf 0", object({ n: { type: "integer", multipleOf: 0 } })],
    ["exclusive without minimum", object({ n: { type: "integer", exclusiveMinimum: true } })],
    ["enum empty", object({ a: { type: "string", enum: [] } })],
    ["enum of another type", object({ a: { type: "string", enum: [1, "a", "a"] } })],
    ["required twice", object({ a: text() }, { required: ["a", "a"] })],
    ["unknown format", object({ a: { type: "string", format: "whatever" } })],
    ["$ref", object({ a: { $ref: "#/definitions/x" } })],
  ];
  return [
    ...versions.map(([name, more]) => judged(`definition: ${name}`, definition("faults", wide, more))),
    ...specs.map(([name, spec]) => judged(`definition: ${name}`, definition("faults", spec))),
  ];
}

/** Selecting by fields, and what a change of a definition may not do. */
function selectionRequests(): OrderedRequest[] {
  const spec = object({ color: text(), size: number, on: { type: "boolean" }, o: object({ b: text() }) });
  const version = {
    selectableFields: [".spec.color", ".spec.size", ".spec.on", ".spec.o.b"].map((jsonPath) => ({ jsonPath })),
  };
  const { create, get, path } = objectsOf("picks");
  const selectors = [
    "spec.color=red",
    "spec.color!=red",
    "spec.color==red,spec.size=2",
    "spec.size=2",
    "spec.size=02",
    "spec.on=true",
    "spec.on=",
    "spec.o.b=x",
    "spec.other=1",
    "metadata.name=one",
    "metadata.namespace=x",
    "spec.color",
    "spec.color=a,",
    ".spec.color=red",
    "status.x=1",
  ];
  return [
    ...made("picks", spec, version),
    create("one", { color: "red", size: 2, on: true, o: { b: "x" } }),
    create("two", { color: "blue", size: 3, on: false }),
    create("three", {}),
    ...selectors.map((selector) => get(`selected by ${selector}`, `?fieldSelector=${encodeURIComponent(selector)}`)),
    {
      name: "picks: delete by field",
      method: "DELETE",
      path: `${path}?dryRun=All&fieldSelector=${encodeURIComponent("spec.color=blue")}`,
    },
    changed("other scope", "picks", { scope: "Namespaced" }),
    changed("other kind", "picks", { names: { kind: "Other" } }),
    changed("other plural", "picks", { names: { plural: "others" } }),
    changed("no version", "picks", { versions: [] }),
    changed("version not stored", "picks", { versions: [{ ...plainVersion, storage: false }] }),
    changed("other stored version", "picks", { versions: [{ ...plainVersion, name: "v2" }] }),
    changed("preserve", "picks", { preserveUnknownFields: true }),
    changed("conversion", "picks", {
      conversion: { strategy: "Webhook", webhook: { conversionReviewVersions: ["v1"] } },
    }),
  ];
}

const plainVersion: Json = {
  name: "v1",
  served: true,
  storage: true,
  schema: { openAPIV3Schema: object({ spec: object({}) }) },
};

/** Names that are taken already. */
function nameRequests(): OrderedRequest[] {
  const named = (plural: string, names: Json, until = '"NamesAccepted"'): OrderedRequest[] => [
    {
      name: `names of ${plural}`,
      method: "POST",
      path: definitions,
      body: definition(plural, object({}), {}, { names: { plural, kind: plural, ...names } }),
      until: 201,
    },
    // Conditions come a moment later.
    {
      name: `names of ${plural} are judged`,
      method: "GET",
      path: `${definitions}/${plural}.${group}`,
      // The name, which is accepted only then, is in conflict with its short name from there on.
      untilHas: until,
    },
    { name: `names of ${plural}, told`, method: "GET", path: `${definitions}/${plural}.${group}` },
  ];
  return [
    ...named(
      "firsts",
      {
        kind: "First",
        singular: "first",
        shortNames: ["fi", "fs"],
        categories: ["all", "mine"],
        listKind: "FirstList",
      },
      '"InitialNamesAccepted"',
    ),
    ...named("seconds", { kind: "First", singular: "second" }),
    ...named("thirds", { kind: "Third", singular: "first" }),
    ...named("fourths", { kind: "Fourth", shortNames: ["fi"], categories: ["all"] }),
    ...named("fifths", { kind: "Fifth", shortNames: ["firsts"] }),
    ...named("sixths", { kind: "Sixth", listKind: "FirstList" }),
    ...named("sevenths", { kind: "FirstList" }),
    ...named("eighths", { kind: "Eighth", singular: "fs", shortNames: ["fi", "eighths"] }, 'eighths\\" is already'),
  ];
}

export const cornerRequests: readonly OrderedRequest[] = [
  ...faultRequests(),
  ...updateRequests(),
  ...ratchetRequests(),
  ...runRequests(),
  ...shapeRequests(),
  ...selectionRequests(),
  ...nameRequests(),
];
