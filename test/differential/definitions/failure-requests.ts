/** Rules that fail as they run: what is said of each. */
import type { OrderedRequest } from "../in-order.ts";
import { definition, type Json, judged, list, made, number, object, objectsOf, ruled, text } from "./definition.ts";

const plural = "failures";

const addresses = [
  ...["1.2.3", "1.2.3.4.5", "256.1.1.1", "1..2.3", ".1.2.3", "1.2.3.", "1.2.3.x", "1.2.3.04", "", "1"],
  ...["::1%eth0", "%eth0", "fe80::1%", "1:2:3", "1:2:3:4:5:6:7:8:9", "12345::", "1::2::3", "1:2:", "g::", ":1", "::"],
  ...["::1.2.3", "1:1.2.3.4", "1:2:3:4:5:6:7:1.2.3.4", "1:2:3:4:5:6:7::8", "1:2:3:4:5:6:7:8::", "::ffff:1.2.3.4"],
  ...["1:2:3:4:5:6:1.2.3.4", "::1:2:3:4:5:6:7:1.2.3.4", "2001:DB8::1", "::1.2.3.400", "1::2:"],
];
const ranges = [
  ...["10.0.0.0", "10.0.0.0/33", "10.0.0.0/08", "10.0.0.0/", "10.0.0.0/x", "10.0.0/8", "10.0.0.0/-1", "10.0.0.0/8/8"],
  ...["::1%a/64", "::ffff:1.2.3.4/96", "::/129", "::/128", "10.0.0.0/99999999999999999999", "10.0.0.0/0", "/8"],
];
const moments = [
  ...["2024-02-30T00:00:00Z", "2023-02-29T00:00:00Z", "2024-02-29T00:00:00Z", "2024-01-01T24:00:00Z"],
  ...["2024-01-01T00:00:00+24:00", "2024-01-01t00:00:00z", "2024-01-01T00:00:00,5Z", "2024-01-01T00:00:60Z"],
  ...["2024-01-01T00:00:00", "0000-01-01T00:00:00Z", "10000-01-01T00:00:00Z", "2024-01-01T00:00:00.1234567891Z"],
  ...["2024-1-01T00:00:00Z", "2024-01-01T0:00:00Z", "2024-01-01T00:00:00+0100", "2024-00-01T00:00:00Z"],
];
const spans = [
  "9999999h",
  "2562047h47m16.854775807s",
  "1.s",
  ".5s",
  "1h-1m",
  "- 1h",
  "+1h",
  "1",
  "1d",
  "-.s",
  "0",
  "1h 1m",
];

/** `self` has `t` (a text that is nothing else), `n` (0), `d` (1e300), `l` (an empty list) and `m` (a map with `a`). */
const rules = [
  ...["int", "uint", "double", "bool", "duration", "timestamp"].map((type) => `${type}(self.t) == ${type}(self.t)`),
  ...["1h", "", "12", "1.5", "-1", "99999999999999999999", "1e400", "0x1F", "yes", "2024-01-01", "+5", " 5"].flatMap(
    (value) =>
      ["int", "uint", "double", "bool", "duration", "timestamp"].map(
        (type) =>
          `self.t == '' || ${type}(self.t.replace(self.t, '${value}')) != ${type}(self.t.replace(self.t, '${value}'))`,
      ),
  ),
  ...moments.map((moment) => `timestamp(self.t.replace(self.t, '${moment}')) == timestamp(-1)`),
  ...spans.map((span) => `duration(self.t.replace(self.t, '${span}')) == duration('1ns')`),
  "int(self.d) == 1",
  "uint(self.d) == 1u",
  "uint(self.n - 1) == 1u",
  "1 / self.n == 1",
  "1 % self.n == 1",
  "uint(1) / uint(self.n) == 1u",
  "uint(1) % uint(self.n) == 1u",
  "9223372036854775807 + (self.n + 1) == 1",
  "-9223372036854775807 - (self.n + 2) == 1",
  "9223372036854775807 * (self.n + 2) == 1",
  "-(self.n + -9223372036854775807 - 1) == 1",
  "uint(self.n) - 1u == 1u",
  "self.l[0] == 'a'",
  "self.l[self.n - 1] == 'a'",
  "{'a': 1}[self.t] == 1",
  "{1: 1}[self.n] == 1",
  "[1, 2][self.n + 5] == 1",
  "{self.t: 1, self.t: 2}.size() == 1",
  "self.t.matches('(' + self.t)",
  "self.t.find('(' + self.t) == ''",
  "self.t.findAll('(' + self.t).size() == 0",
  "self.t.charAt(100) == ''",
  "self.t.substring(100) == ''",
  "self.t.substring(3, 1) == ''",
  "self.t.substring(-1) == ''",
  "self.t.substring(0, 100) == ''",
  "self.t.indexOf('a', 100) == 0",
  "self.t.lastIndexOf('a', 100) == 0",
  "self.t.indexOf('a', -1) == 0",
  "self.l.min() == ''",
  "self.l.max() == ''",
  "self.l.slice(0, 3).size() == 1",
  "self.l.slice(-1, 0).size() == 1",
  "quantity(self.t).isGreaterThan(quantity('1'))",
  "quantity('1.5').asInteger() == 1",
  "url(self.t).getHost() == ''",
  "ip(self.t).family() == 4",
  ...addresses.map((address) => `ip('${address}').family() == 0`),
  "cidr(self.t).prefixLength() == 4",
  ...ranges.map((range) => `cidr('${range}').prefixLength() == -1`),
  "cidr('10.0.0.1/24').containsIP(self.t)",
  "cidr('10.0.0.0/8').containsCIDR(self.t)",
  "semver(self.t).major() == 4",
  "semver('1.2', true).major() == semver('1.2').major()",
  "'%e'.format([self.t]) == ''",
  "optional.none().value() == self.t",
  "optional.of(self.l).value()[3] == self.t",
  "timestamp('2024-01-01T00:00:00Z').getHours(self.t) == 1",
  "timestamp('2024-01-01T00:00:00Z').getHours('25:99') == 1",
  "timestamp('9999-12-31T23:59:59Z') + duration('24h') == timestamp('9999-12-31T23:59:59Z')",
  "timestamp(self.n + 999999999999999) == timestamp(0)",
  "duration('2562047h') + duration('2562047h') == duration('1h')",
  "format.named(self.t).value().validate('a').hasValue()",
  "self.l.all(x, int(self.t) == 1) && int(self.t) == 1",
  "[self.t].all(x, int(x) == 1)",
  "[self.t].exists(x, int(x) == 1)",
  "[self.t].exists_one(x, int(x) == 1)",
  "[self.t].map(x, int(x)).size() == 2",
  "[self.t].filter(x, int(x) == 1).size() == 1",
];

const failing = "int('x') == 1";
const failingText = "string(int('x'))";
const policies: readonly (readonly [string, Json])[] = [
  ["a rule", { validations: [{ expression: failing }] }],
  ["a message", { validations: [{ expression: "true", messageExpression: failingText }] }],
  ["a variable", { variables: [{ name: "v", expression: failing }] }],
  ["a condition", { matchConditions: [{ name: "c", expression: failing }] }],
  ["an annotation", { auditAnnotations: [{ key: "k", valueExpression: failingText }] }],
];
function policy(more: Json): Json {
  const rule = { apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["pods"] };
  const spec = { matchConstraints: { resourceRules: [rule] }, validations: [{ expression: "true" }], ...more };
  const apiVersion = "admissionregistration.k8s.io/v1";
  return { apiVersion, kind: "ValidatingAdmissionPolicy", metadata: { name: "a" }, spec };
}

export function failureRequests(): OrderedRequest[] {
  const { tried } = objectsOf(plural);
  const fields = object(
    { t: text(20), n: number, d: { type: "number" }, l: list(text(5), { maxItems: 3 }), m: object({ a: text(5) }) },
    { additionalProperties: undefined },
  );
  return [
    ...made(plural, ruled(fields, ...rules.map((rule, index) => ({ rule, message: `rule ${index}` })))),
    ...[
      "int(18446744073709551615u) == 1",
      "string(b'\\xff') == self.t",
      "self.n == 0 ? true : uint(-1) == 1u",
      "[int('x')].size() == 1",
      "timestamp('2024-02-30T00:00:00Z') == timestamp(0)",
      "duration('9999999h') == duration('1h')",
      "self.t.matches('(')",
    ].map((rule) => judged(`a constant that fails: ${rule}`, definition("constants", ruled(fields, rule)))),
    judged(
      "a message with a constant that fails",
      definition("constants", ruled(fields, { rule: "self.n == 1", messageExpression: "'a' + string(int('x'))" })),
    ),
    ...policies.map(
      ([name, more]): OrderedRequest => ({
        name: `a constant that fails in ${name} of a policy`,
        method: "POST",
        path: "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies?dryRun=All",
        body: policy(more),
      }),
    ),
    {
      name: "a constant that fails in a selector of devices",
      method: "POST",
      path: "/apis/resource.k8s.io/v1/deviceclasses?dryRun=All",
      body: {
        apiVersion: "resource.k8s.io/v1",
        kind: "DeviceClass",
        metadata: { name: "a" },
        spec: { selectors: [{ cel: { expression: failing } }] },
      },
    },
    tried("each fails", { t: "none", n: 0, d: 1e300, l: [], m: { a: "b" } }),
  ];
}
