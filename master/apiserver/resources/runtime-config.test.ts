import { expect, test } from "bun:test";
import { builtinDeclarations } from "./index.ts";
import { servedDeclarations } from "./runtime-config.ts";

const policies = "mutatingadmissionpolicies";
const bindings = "mutatingadmissionpolicybindings";
const version = "admissionregistration.k8s.io/v1beta1";

const optional = (...given: string[]): string[] =>
  servedDeclarations(given)
    .filter((declaration) => !builtinDeclarations.includes(declaration))
    .map(({ ref }) => ref.plural);

test("what is off by default stays so without the setting", () => {
  expect(servedDeclarations([])).toEqual(builtinDeclarations);
});

for (const [given, served] of [
  [[`${version}=true`], [policies, bindings]],
  [[version], [policies, bindings]],
  [[`${version}/${policies}=true`], [policies]],
  [[`${version}=true`, `${version}/${bindings}=false`], [policies]],
  [[`${version}/${bindings}=1`, `${version}=0`], [bindings]],
  [["api/beta=true"], [policies, bindings]],
  [["api/all=true"], [policies, bindings]],
  [["api/all=true", "api/beta=false"], []],
  [["api/beta=true", `${version}=false`], []],
  [["api/ga=true", "api/alpha=false", "apps/v1=true", "/v1=true"], []],
  [["v1", "api/v1=true", "v1/pods=true", "api/v1/pods=true", "api/legacy=false"], []],
  [
    [`${version}=false`, `${version}=true`],
    [policies, bindings],
  ],
] as const) {
  test(`${given.join(",")} serves ${served.join(", ") || "nothing more"}`, () => {
    expect(optional(...given)).toEqual([...served]);
  });
}

for (const [given, message] of [
  ["apps=true", "runtime-config: runtime-config invalid key apps"],
  ["api/v1=false", "runtime-config: /v1=false: generally available versions are always served"],
  ["a/b/c/d=true", "runtime-config: runtime-config invalid key a/b/c/d"],
  ["example.com/v1=true", "runtime-config: unknown api groups example.com"],
  ["apps/v1beta1=true", "runtime-config: group version apps/v1beta1 that has not been registered"],
  ["api/beta=yes", "runtime-config: invalid value api/beta=yes"],
  ["api/beta", "runtime-config: invalid value api/beta="],
  [
    `${version}=yes`,
    `runtime-config: invalid value of ${version}: yes, err: strconv.ParseBool: parsing "yes": invalid syntax`,
  ],
  [
    `${version}/Mutatingadmissionpolicies=true`,
    `runtime-config: invalid key ${version}/Mutatingadmissionpolicies: group/version/resource and resource is always lowercase plural, not "Mutatingadmissionpolicies"`,
  ],
  ["api/all=false", "runtime-config: api/all=false: generally available versions are always served"],
  ["api/ga=false", "runtime-config: api/ga=false: generally available versions are always served"],
  ["apps/v1=false", "runtime-config: apps/v1=false: generally available versions are always served"],
] as const) {
  test(`${given} is refused`, () => {
    expect(() => servedDeclarations([given])).toThrow(message);
  });
}
