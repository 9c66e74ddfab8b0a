/** Expressions, and values to run them on, whose costs upstream's apiextensions-apiserver has counted (record.ts). */
import type { JSONSchemaProps } from "#shared/api/types/apiextensions-v1.generated.ts";
import { expressions as estimated, item } from "../definitions/cost-requests.ts";
import { list, number, object, ruled, text } from "../definitions/definition.ts";

export interface Questions {
  readonly schema: JSONSchemaProps;
  readonly values: readonly object[];
  readonly expressions: readonly string[];
  /** Objects that cost about as much as they may. */
  readonly bounded: readonly Bounded[];
}

export interface Bounded {
  readonly name: string;
  readonly schema: JSONSchemaProps;
  readonly value: object;
}

const words = (count: number, length: number): string[] =>
  Array.from({ length: count }, (_, index) => String(index).padEnd(length, "ab"));

const small = {
  s: "abc",
  t: "a longer text, of forty-five characters, é 💡",
  n: 2,
  f: 2.5,
  q: true,
  l: ["a", "b", "abc"],
  u: words(12, 25),
  ns: [3, 1, 2, 1],
  m: { a: "b", cd: "e" },
  v: { one: 1, two: 2 },
  o: { a: "ab", deep: { b: 3 } },
  os: [
    { k: "b", n: 2 },
    { k: "a", n: 1 },
    { k: "bc", n: 3 },
  ],
  b: "YWJj",
  d: "2024-02-03T04:05:06Z",
  day: "2024-02-03",
  span: "90m",
  i: 5,
  e: "one",
  ll: [["a"], ["a", "b"]],
  ml: { a: ["a"], b: ["b", "b"] },
  emb: { apiVersion: "v1", kind: "Box", metadata: { name: "a" } },
};
const other = {
  ...small,
  s: "10.1.2.3",
  t: "a,b,c,a1b22c333",
  n: 40,
  q: false,
  l: ["a", "a", "a", "a", "a"],
  u: [...words(3, 5), "aa"],
  m: { a: "v", b: "v", c: "v" },
  i: "50%",
  e: "three",
};
const bare = { e: "one" };

const further: readonly string[] = [
  "has(self.o) && has(self.o.deep) && self.o.deep.b == 3",
  "!has(self.s) || self.s.size() < 10",
  "has(self.emb.spec)",
  "self.?o.?deep.?b.hasValue()",
  "self.?o.deep.b.orValue(1) > 2",
  "self.q ? self.n > 1 : self.n > 2",
  "(self.q ? self.s : self.t) == 'abc'",
  "(self.q ? self.o : self.o).deep.b == 3",
  "(self.q ? self.s + 'a' : 'b').size() > 1",
  "(self.q ? 1 : 2) == self.n",
  "self.q ? true : false",
  "self.l[self.n - 1] == 'b'",
  "self.l[self.os[1].n] == 'b'",
  "self.m[self.l[0]] == 'b'",
  "self.m[self.s.substring(0, 1)] == 'b'",
  "self.l[0] + self.l[1] == 'ab'",
  "self.os[0].k == 'b' && self.os[2].n == 3",
  "self.l.filter(x, x != 'a')[0] == 'b'",
  "self.os.filter(x, x.n == 1)[0].k == 'a'",
  "self.n in [1, 2, 3]",
  "self.n in []",
  "self.s in [self.s, 'a']",
  "self.n in self.ns",
  "!(self.s in self.m)",
  "'abc' in {'abc': 1}",
  "[1, 2] == self.ns",
  "[self.n, 2].size() == 2",
  "{'a': self.n}['a'] == self.n",
  "{'a': 1}['a'] == 1",
  "int('5') == self.n",
  "timestamp('2020-01-01T00:00:00Z') == self.d",
  "string(self.n).size() == 1",
  "-self.n < 0 && !(self.n > 5)",
  "self.n + 1 - 2 * 3 / 1 % 5 == 0",
  "self.t + self.t == self.t",
  "self.b + self.b == b'abcabc'",
  "self.b == b'abc' && self.b < b'abd'",
  "self.d < timestamp('2030-01-01T00:00:00Z') && self.span > duration('1h')",
  "self.m == {'a': 'b', 'cd': 'e'}",
  "self.o == self.o && self.os == self.os",
  "self.ll == [['a'], ['a', 'b']]",
  "self.n != 3 && self.f != 2.0 && self.s != self.t",
  "1 < 2 || 'a' < 'b'",
  "self.n > 100 && self.t.contains('a')",
  "self.n < 100 || self.t.contains('a')",
  "self.t.contains('a') && self.n > 100 && self.q",
  "self.n > 100 || self.q || self.s == 'abc'",
  "self.none == 1 || true",
  "self.s.startsWith('a') && self.t.endsWith('s')",
  "self.l.all(x, x.size() < 2)",
  "self.l.all(x, x.size() < 20) && self.l.exists(x, x == 'none')",
  "self.l.exists(x, x == 'a')",
  "self.l.exists_one(x, x == 'a')",
  "self.l.map(x, x.size()).sum() > 3",
  "self.l.map(x, x != 'a', x + x).size() > 1",
  "self.l.filter(x, true).size() == 3",
  "self.os.all(a, self.os.exists(b, b.k == a.k))",
  "self.m.map(k, k + self.m[k]).size() > 1",
  "self.m.filter(k, k == 'a').size() == 1",
  "self.m.exists(k, v, v == 'e')",
  "self.l.existsOne(i, x, i == 1)",
  "self.l.transformList(i, x, i > 0, x + 'b').size() > 1",
  "self.m.transformMap(k, v, k == 'a', v + v).size() == 1",
  "self.l.transformMap(i, x, x).size() == 3",
  "self.m.transformMapEntry(k, v, v == 'e', {v: k}).size() == 1",
  "[].all(x, x == 1)",
  "[1, 2, 3].map(x, x * 2).exists(x, x == 4)",
  "cel.bind(x, self.t, x.size() + x.size() > 3)",
  "self.?n.optMap(x, x + 1).hasValue()",
  "self.?n.optFlatMap(x, optional.of(x)).hasValue()",
  "self.?none.optMap(x, x).hasValue()",
  "optional.none().hasValue() || optional.ofNonZeroValue(self.n).value() == 2",
  "[?self.?s, 'a'].size() == 2",
  "{?'a': self.?n}.size() == 1",
  "self.?s.or(self.?t).hasValue()",
  "type(self.n) == int && type(self.s) == type(self.t)",
  "size(self.t) > 1 && size(self.m) == 2 && self.b.size() > 1",
  "self.t.indexOf('text', 3) > 1 && self.t.lastIndexOf('a') > 0 && self.t.lastIndexOf('a', 9) > 0",
  "self.l.lastIndexOf('a') >= 0",
  "self.l.join() == 'ababc'",
  "self.t.matches('^a')",
  "self.t.find('[a-z]+') == 'a' && self.t.findAll('[a-z]+', 2).size() == 2",
  "self.t.replace('a', 'b', 2).size() > 3",
  "self.t.substring(2, 5) == 'lon' && self.t.charAt(3) == 'o'",
  "'%s'.format([self.t]).size() > 1",
  "'%d-%s-%.2f'.format([self.n, self.l, self.f]) == self.t",
  "isURL('https://a.example/b?c=d') && url('https://a.example/b?c=d').getQuery()['c'][0] == 'd'",
  "url('https://a.example:80/b').getPort() == '80' && url('https://a.example/b').getEscapedPath() == '/b'",
  "ip('::1').isLoopback() && !ip('10.0.0.1').isUnspecified() && string(ip('10.0.0.1')) == '10.0.0.1'",
  "cidr('10.0.0.0/8').masked() == cidr('10.0.0.0/8') && cidr('10.0.0.0/8').prefixLength() == 8",
  "cidr('fd00::/16').containsCIDR(cidr('fd00:1::/32')) && isCIDR('10.0.0.0/8')",
  "cidr('10.0.0.0/8').containsIP(ip('10.0.0.1'))",
  "quantity('1Gi').isLessThan(quantity('2Gi')) && quantity('5').asInteger() == 5 && quantity('5').isInteger()",
  "sign(quantity('1').sub(quantity('2'))) == -1 && quantity('1500m').asApproximateFloat() > 1.2",
  "quantity('1').compareTo(quantity('1')) == 0 && quantity('1') == quantity('1')",
  "semver('1.2.3').isLessThan(semver('1.3.0')) && semver('v1.2', true).minor() == 2 && isSemver('1.2.3')",
  "format.dns1123Subdomain().validate('A_').hasValue()",
  "!format.labelValue().validate(self.s).hasValue()",
  "!format.named('dns1123Label').value().validate(self.s).hasValue()",
  "sets.contains([1, 2, 3], self.ns) && sets.intersects(self.l, ['a']) && sets.equivalent([1], [1, 1])",
  "self.ns.isSorted() || self.ns.min() == 1 && self.ns.max() == 3 && self.ns.sum() == 7",
  "self.ns.sort() == [1, 1, 2, 3] && self.ns.distinct().size() == 3",
  "self.u.sort()[0] == '0abababababababababababab'",
  "self.os.sortBy(x, x.k)[0].k == 'a'",
  "self.ns.reverse()[0] == 1 && self.ns.slice(0, 2) == [3, 1]",
  "[[1, 2], [3]].flatten() == [1, 2, 3] && [[1, [2]], [3]].flatten(2).size() == 3",
  "lists.range(5).all(x, x < 5)",
  "self.t.reverse().size() > 1",
  "self.d.getMonth() == 1 && self.d.getHours('+02:00') == 6 && self.span.getMinutes() == 90",
  "self.d + self.span > self.d && self.d - self.d == duration('0s')",
  "oldSelf.n == self.n && oldSelf.l == self.l",
  "self.l.all(x, oldSelf.l.exists(y, y == x))",
  "quantity('1').sign() == 1",
  "['dns1123Label', 'dns1123Subdomain', 'dns1035Label', 'qualifiedName', 'labelValue', 'uri', 'uuid', 'byte', 'date', 'datetime'].all(x, format.named(x).value().validate('a') != optional.none())",
  "format.dns1123LabelPrefix().validate('a-').hasValue() || format.dns1123SubdomainPrefix().validate('a-').hasValue() || format.dns1035LabelPrefix().validate('a-').hasValue()",
  "'%f %d'.format([1234567.5, 1234567]) == '1,234,567.500000 1234567' && '%.1e'.format([0.00125]) == '1.2×10⁻⁰³'",
  "'%e'.format([2.5]) == '2.500000×10⁰⁰' && '%x %X %o %b'.format([255, b'a', 8, true]) == 'ff 61 10 1'",
  '\'%s\'.format([self.l]) == \'["a", "b", "abc"]\' && \'%s\'.format([self.m]) == \'{"a":"b", "cd":"e"}\'',
  "'%s'.format([{1: [null, true, 2u, 1.5]}]) == '{1:[null, true, 2, 1.500000]}'",
  "'%s'.format([[self.d, self.d + self.span]]) != ''",
  "'%s'.format([[self.span]]) == '[duration(\"5400s\")]' && '%s'.format([self.span]) == '5400s'",
  "'%s'.format([[b'abc']]) == '[b\"abc\"]' && '%s'.format([b'abc']) == 'abc' && '%s'.format([type(1)]) == 'int'",
  "self.m.transformMap(k, v, int(v)).size() == 1",
  "self.t.replace('a', self.s, int(self.s)) == 'a'",
  "self.t.replace('a', self.l[7], 1) == 'a'",
  "self.t.substring(0, int(self.s)) == 'a'",
  "'%d'.format([1.5]) == '1'",
  "'%d and %s'.format([1]) == '1'",
  "'%d'.format([1, 2]) == '1'",
  "'%q'.format([1]) == '1'",
  "'%f'.format([self.n]) == '1'",
  "'%e'.format([[1]]) == '1'",
  "'%b %o %x'.format([self.q, self.q, 1]) == '1'",
  "'%x'.format([self.f]) == '1'",
  "'%s'.format([self.o]) == '1'",
  "'%s'.format([self.?s]) == '1'",
  "'%s'.format([{'a': {'b': ip('::1')}}]) == '1'",
  "'100%'.format(['a']) == '1'",
  "self.s.format([1]) == '1' || self.q",
  "'%d'.format([dyn(1.5)]) == '1'",
  "'%f'.format([dyn(1)]) == '1'",
  "'%s'.format([[quantity('1')]]) == '1'",
  "'%s'.format(self.l[?9].hasValue() ? ['a'] : []) == 'a'",
  "self.l[7] == 'a'",
  "self.m['none'] == 'a'",
  "self.n / 0 == 1",
  "self.t.size() > 5 && int(self.s) == 1",
  "self.l.all(x, int(x) == 1)",
  "self.l.exists(x, int(x) == 1 || x == 'b')",
];

type Rule = Parameters<typeof ruled>[1];
/** Costs 4, and a hundredth of the product of the two lengths. A loop of such a cost would keep upstream's code for minutes. */
const search = "self.t.contains(self.u)";
const dear = `(${search} || true)`;
const texts = (t: number, u: number): object => ({ t: "a".repeat(t * 10), u: "b".repeat(u * 10), n: 1 });
/** For which a search costs 1,000,000. */
const longest = texts(1002, 998);
const cheap = texts(10, 10);
const empty = texts(0, 0);
const ofTexts = (...rules: Rule[]): JSONSchemaProps =>
  ruled(object({ t: text(), u: text(), n: number }), ...rules) as JSONSchemaProps;

const one = (name: string, rules: Rule[], value: object): Bounded => ({ name, schema: ofTexts(...rules), value });
const items = (name: string, rules: Rule[], os: readonly object[]): Bounded => ({
  name,
  schema: object({ os: list(ofTexts(...rules) as Parameters<typeof list>[0]) }) as JSONSchemaProps,
  value: { os },
});
const times = (count: number, value: object): object[] => new Array<object>(count).fill(value);
const withMessage = (messageExpression: string): Rule => ({ rule: "self.n == 2", messageExpression });
const said = `${search} ? 'found' : 'not found'`;

const bounded: readonly Bounded[] = [
  one("a rule at its limit", [dear], longest),
  one("a rule one above it", [`${dear} && has(self.n)`], longest),
  one("a rule far above, before another", [`${dear} && ${dear}`, "self.n == 2"], longest),
  one("rules at their limit, one after the other", [dear, dear, "self.n == 2"], longest),
  one("a rule that fails, before another", ["self.n / 0 == 1", "self.n == 2"], cheap),
  one("a message at its limit", [withMessage(said)], longest),
  one("a message one above it", [withMessage(`has(self.n) && ${said}`), "self.n == 3"], longest),
  one("a message that fails", [withMessage("self.n / 0 == 1 ? 'a' : 'b'"), "self.n == 3"], cheap),
  items("as many as may be", [dear], times(10, longest)),
  items("one more, when nothing is left", [dear], times(11, longest)),
  items(
    "one more, that costs what is left",
    [dear],
    [...times(9, longest), texts(1000, 999), texts(100, 9), texts(9, 10)],
  ),
  items(
    "one more, that costs more than is left",
    [dear],
    [...times(9, longest), texts(1000, 999), texts(125, 8), cheap],
  ),
  items("another after that", [dear], [...times(9, longest), texts(1000, 999), texts(999, 1), empty, empty]),
  items("rules that do not hold count", [`${dear} && self.n == 2`], times(11, texts(1000, 998))),
  items("rules that fail count", [`${dear} && self.n / 0 == 2`], times(11, texts(1000, 998))),
  items("no message for what is left", [dear, withMessage(said)], [...times(9, longest), texts(1000, 990), cheap]),
  items(
    "above its limit, with less left",
    [`${dear} && has(self.n)`],
    [...times(9, texts(1002, 997)), ...times(2, longest)],
  ),
  items("above its limit, with a little more left", [`${dear} && ${dear}`], [...times(8, texts(500, 998)), longest]),
];

export const questions: Questions = {
  schema: item as JSONSchemaProps,
  values: [small, other, bare],
  expressions: [...estimated, ...further],
  bounded,
};
