/** What rules may cost, as it is estimated when they are written. */
import type { OrderedRequest } from "../in-order.ts";
import { definition, type Json, judged, list, number, object, ruled, text } from "./definition.ts";

const item = object(
  {
    s: text(10),
    t: text(),
    n: number,
    f: { type: "number" },
    q: { type: "boolean" },
    l: list(text(5), { maxItems: 10 }),
    u: list(text()),
    ns: list(number, { maxItems: 20 }),
    m: { type: "object", additionalProperties: text(7), maxProperties: 12 },
    v: { type: "object", additionalProperties: number },
    o: object({ a: text(4), deep: object({ b: number }) }),
    os: list(object({ k: text(6), n: number }), { maxItems: 30 }),
    b: { type: "string", format: "byte", maxLength: 40 },
    d: { type: "string", format: "date-time" },
    day: { type: "string", format: "date" },
    span: { type: "string", format: "duration" },
    i: { "x-kubernetes-int-or-string": true },
    e: { type: "string", enum: ["one", "three"] },
    ll: list(list(text(3), { maxItems: 4 }), { maxItems: 5 }),
    ml: { type: "object", additionalProperties: list(text(3), { maxItems: 4 }), maxProperties: 6 },
    emb: { type: "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true },
  },
  { required: ["e"] },
);

/** Each is judged of the items of lists of several lengths, so that the factor by which it is too dear shows its cost. */
const expressions: readonly string[] = [
  "true",
  "self.n == 1",
  "self.n > 1 && self.n < 5",
  "self.s == 'abc'",
  "self.s == self.t",
  "self.t != self.s + self.s",
  "self.t == 'x'",
  "self.s < self.o.a",
  "self.f < 3.5",
  "self.q || !self.q",
  "has(self.s)",
  "has(self.o.deep.b) && self.o.deep.b > 0",
  "has(self.s) ? self.s == 'a' : self.t == 'b'",
  "self.s.startsWith('ab')",
  "self.s.endsWith(self.t)",
  "self.t.contains(self.s)",
  "self.t.contains('abc')",
  "self.s.matches('^[a-z]+$')",
  "self.t.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
  "matches(self.s, '^a')",
  "self.s.matches(self.t)",
  "self.s.size() > 3",
  "size(self.l) > 3",
  "self.s in ['a', 'b', 'c']",
  "self.s in self.l",
  "self.s in self.u",
  "'a' in self.m",
  "self.l.all(x, x == 'a')",
  "self.u.all(x, x.startsWith('a'))",
  "self.l.exists(x, x == self.s)",
  "self.l.exists_one(x, x.size() == 2)",
  "self.l.all(x, self.l.all(y, x == y))",
  "self.u.all(x, self.u.all(y, x == y))",
  "self.os.all(x, x.n > 0)",
  "self.os.filter(x, x.n > 0).size() > 0",
  "self.os.map(x, x.k).all(k, k == 'a')",
  "self.os.map(x, x.n > 0, x.k).exists(k, k.startsWith('b'))",
  "self.l.map(x, x + 'a') == self.l",
  "self.l == self.u",
  "self.m.all(k, self.m[k] == 'v')",
  "self.m.all(k, k == 'v')",
  "self.v.all(k, self.v[k] > 0)",
  "self.m['a'] == 'b'",
  "self.l[0] == self.s",
  "self.ll.all(x, x.all(y, y == 'a'))",
  "self.ml.all(k, self.ml[k].all(y, y == k))",
  "self.ns.sum() > 3",
  "self.ns.max() > self.ns.min()",
  "self.l.isSorted()",
  "self.u.isSorted()",
  "self.l.indexOf('a') > 0",
  "self.s.indexOf('a') > 0",
  "self.s.lowerAscii() == 'a'",
  "self.t.upperAscii() == self.s",
  "self.s.replace('a', 'bcd') == self.t",
  "self.s.replace('', 'bcd').size() > 1",
  "self.t.split(',').all(x, x == 'a')",
  "self.s.split(',', 2).size() == 2",
  "self.l.join(',') == self.t",
  "self.u.join(self.s).startsWith('a')",
  "self.s.substring(1) == self.s.trim()",
  "self.s.find('[0-9]+') == '1'",
  "self.t.findAll('[0-9]+').size() > 1",
  "self.s.charAt(0) == 'a'",
  "'%s is %d'.format([self.s, self.n]) == self.t",
  "strings.quote(self.s) == self.t",
  "string(self.n) == self.s",
  "int(self.s) == self.n",
  "bytes(self.s) == self.b",
  "string(self.b) == self.s",
  "duration('1h') < self.span",
  "timestamp('2020-01-01T00:00:00Z') < self.d",
  "self.d.getFullYear() > 2000 && self.day < self.d",
  "self.d - self.day > duration('1s')",
  "type(self.i) == int ? self.i < 5 : self.i.matches('^[0-9]+%$')",
  "self.i == 5",
  "dyn(self.n) == 1",
  "self.e == 'one'",
  "[1, 2, 3].all(x, x > self.n)",
  "[self.s, self.t].exists(x, x == 'a')",
  "{'a': self.s, 'b': self.t}.all(k, k == self.s)",
  "(self.l + self.u).all(x, x == 'a')",
  "(self.q ? self.l : self.u).all(x, x == 'a')",
  "cel.bind(x, self.s + self.s, x == x)",
  "self.?s.hasValue()",
  "self.?s.orValue('a') == 'b'",
  "self.?o.a.orValue('') == self.s",
  "self.?n.optMap(x, x + 1).orValue(3) == 4",
  "self.?l[?0].orValue('a') == 'a'",
  "optional.of(self.s).hasValue()",
  "self.m.transformList(k, v, k + v).all(x, x == 'a')",
  "self.m.all(k, v, k != v)",
  "self.l.exists(i, x, i > 2 && x == 'a')",
  "self.m.transformMap(k, v, v + 'a').size() > 2",
  "self.os.transformMapEntry(i, x, {x.k: x.n}).size() > 1",
  "sets.contains(self.l, ['a', 'b'])",
  "sets.equivalent(self.l, self.u)",
  "sets.intersects(self.ns, [1])",
  "url(self.s).getHost() == 'a' && isURL(self.t)",
  "ip(self.s) == ip(self.t)",
  "isIP(self.s) && ip.isCanonical(self.s) && ip(self.s).family() == 4",
  "cidr('10.0.0.0/8').containsIP(self.s)",
  "cidr('10.0.0.0/8').containsIP(ip(self.s))",
  "cidr(self.s).containsCIDR('10.0.0.0/8') && cidr(self.s).ip() == ip('10.0.0.1')",
  "isQuantity(self.s) && quantity(self.s).isGreaterThan(quantity('1k'))",
  "quantity(self.s).add(1) == quantity(self.t)",
  "semver(self.s).compareTo(semver('1.2.3')) < 0",
  "!format.dns1123Label().validate(self.s).hasValue()",
  "format.named('uuid').hasValue()",
  "self.emb.metadata.name == 'a' && self.emb.kind.startsWith('B')",
  "self.n == oldSelf.n",
  "self.u.all(x, x in oldSelf.u)",
];

const lengths = [100, 30_000, 1_000_000];

const byExpression = expressions.map((expression) =>
  judged(
    `cost of ${expression}`,
    definition(
      "dears",
      object(
        Object.fromEntries(
          lengths.map((maxItems) => [`of${maxItems}`, list(ruled(item, expression), mapped(maxItems))]),
        ),
      ),
    ),
  ),
);

/** With keys, so that what was there before is found again. */
function mapped(maxItems: number): Json {
  return { maxItems, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["e"] };
}

const places: readonly (readonly [string, Json])[] = [
  ["once", ruled(object({ s: text() }), "self.s.matches('a')")],
  ["an unbounded list", object({ l: list(ruled(text(10), "self.matches('^a')")) })],
  ["an unbounded map", object({ l: { type: "object", additionalProperties: ruled(text(10), "self == 'a'") } })],
  ["a bounded list in an unbounded one", object({ l: list(list(ruled(number, "self > 1"), { maxItems: 2 })) })],
  ["an unbounded list in a bounded one", object({ l: list(list(ruled(number, "self > 1")), { maxItems: 2 }) })],
  [
    "a bounded map of lists",
    object({
      l: {
        type: "object",
        maxProperties: 100,
        additionalProperties: list(ruled(text(), "self == 'ab'"), { maxItems: 3 }),
      },
    }),
  ],
  [
    "long required fields",
    object({
      l: list(
        ruled(
          object({ aLongName: text(), another: number }, { required: ["aLongName", "another"] }),
          "self.another > 1 && self.aLongName == 'a'",
        ),
      ),
    }),
  ],
  [
    "required with a default",
    object({
      l: list(
        ruled(object({ aLongName: { ...text(), default: "a" } }, { required: ["aLongName"] }), "self.aLongName == 'a'"),
      ),
    }),
  ],
  ["no items", object({ l: list(ruled(text(), "self.matches('a')"), { maxItems: 0 }) })],
  ["a message", ruled(object({ s: text() }), { rule: "true", messageExpression: "self.s.replace('', self.s)" })],
  [
    "a message of a list",
    ruled(object({ l: list(text()) }), { rule: "true", messageExpression: "self.l.map(x, self.l.join(x)).join(',')" }),
  ],
  [
    "a rule and a message in a list",
    object({ l: list(ruled(text(), { rule: "self.size() < 10", messageExpression: "self + self" })) }),
  ],
  [
    "many rules",
    object({
      l: list(ruled(number, ...Array.from({ length: 40 }, (_, index) => `self > ${index}`)), { maxItems: 1_000_000 }),
    }),
  ],
  [
    "several dear rules",
    object({
      a: list(ruled(text(), "self.matches('a')"), { maxItems: 20 }),
      b: list(ruled(text(), "self.matches('abcdefgh')"), { maxItems: 30 }),
      c: list(ruled(text(), "self.matches('abcdefghijklmnop')"), { maxItems: 40 }),
      d: list(ruled(text(), "self.matches('abcdefghijklmnopqrst')"), { maxItems: 50 }),
      e: list(ruled(text(), "self.matches('abcdefghijklmnopqrstuvwx')"), { maxItems: 60 }),
    }),
  ],
];

export const costRequests: readonly OrderedRequest[] = [
  ...byExpression,
  ...places.map(([name, spec]) => judged(`cost in ${name}`, definition("dears", spec))),
];
