import { expect, test } from "bun:test";
import type { Pod, PodSpec } from "#shared/api/types/core-v1.generated.ts";
import { unfitSpec, withoutIdentity } from "./unfit-pod.ts";

const pod = (metadata: Pod["metadata"], spec: Partial<PodSpec> = {}): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "p", namespace: "n", uid: "u", ...metadata },
  spec: { containers: [{ name: "c", image: "i" }], ...spec },
});

test("what would lead out of a pod's own folders is no identity", () => {
  expect(withoutIdentity(pod({}))).toBeUndefined();
  expect(withoutIdentity(pod({ uid: "0123-abc", name: "a.b-c" }))).toBeUndefined();
  for (const text of ["", ".", "..", "a/b", "../x", "a\nb", "a\0b", "x".repeat(254)])
    expect(withoutIdentity(pod({ uid: text }))).toBe(`metadata.uid: Invalid value: ${JSON.stringify(text)}`);
  expect(withoutIdentity(pod({ uid: undefined }))).toBe('metadata.uid: Invalid value: ""');
  expect(withoutIdentity(pod({ namespace: "a/.." }))).toBe('metadata.namespace: Invalid value: "a/.."');
  expect(withoutIdentity(pod({ name: "" }))).toBe('metadata.name: Invalid value: ""');
});

test("what a pod asks for must have containers, and names that can be told apart", () => {
  const named = (name: string) => ({ name, image: "i" });
  expect(unfitSpec(pod({}))).toBeUndefined();
  expect(unfitSpec(pod({}, { containers: [] }))).toBe("spec.containers: Required value");
  expect(unfitSpec(pod({}, { containers: [named("a"), named("a")] }))).toBe(
    'the name of a container: Duplicate value: "a"',
  );
  expect(unfitSpec(pod({}, { initContainers: [named("../c")] }))).toBe(
    'the name of a container: Invalid value: "../c"',
  );
  expect(unfitSpec(pod({}, { volumes: [{ name: "v" }, { name: "v" }] }))).toBe(
    'the name of a volume: Duplicate value: "v"',
  );
  expect(unfitSpec(pod({}, { volumes: [{ name: "" }] }))).toBe('the name of a volume: Invalid value: ""');
});
