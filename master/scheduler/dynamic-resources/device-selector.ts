/** CEL selectors of devices (KEP-4381): `device.driver`, `device.attributes`, `device.capacity`. */

import type { Device, DeviceAttribute, DeviceSelector } from "#shared/api/types/resource-v1.generated.ts";
import type { Environment } from "#shared/cel/checker.ts";
import { FunctionTable } from "#shared/cel/functions.ts";
import { kubernetesLibrary, quantity } from "#shared/cel/kubernetes-library.ts";
import { Program } from "#shared/cel/program.ts";
import { standardLibrary } from "#shared/cel/standard-library.ts";
import { bool, dyn, mapOf, objectOf, opaque, string } from "#shared/cel/types.ts";
import { MapValue, NativeMap, type Value } from "#shared/cel/values.ts";
import { version } from "#shared/cel/version-library.ts";
import { BoundedMap } from "#shared/compact/bounded-map.ts";

const deviceType = objectOf("DRADevice", {
  driver: string,
  attributes: mapOf(string, mapOf(string, dyn)),
  capacity: mapOf(string, mapOf(string, opaque("kubernetes.Quantity"))),
  allowMultipleAllocations: bool,
});
const environment: Environment = {
  variables: new Map([["device", deviceType]]),
  functions: new FunctionTable(standardLibrary, kubernetesLibrary),
  hasBindings: true,
};

/** Upstream's limit of one evaluation. */
const costLimit = 1_000_000;
/** Programs kept; the oldest go first. */
const mostPrograms = 100;
const programs = new BoundedMap<Program>(mostPrograms);

function programFor(expression: string): Program {
  const known = programs.get(expression);
  if (known) return known;
  const made = Program.compile(expression, environment);
  programs.set(expression, made);
  return made;
}

/** A domain that a device says nothing of is there and empty, so that selectors need not ask for it first. */
class Domains extends MapValue {
  constructor(private readonly domains: ReadonlyMap<string, NativeMap>) {
    super();
  }
  get size(): number {
    return this.domains.size;
  }
  get(key: Value): Value | undefined {
    return typeof key === "string" ? (this.domains.get(key) ?? new NativeMap([])) : undefined;
  }
  entries(): IterableIterator<readonly [Value, Value]> {
    return this.domains.entries();
  }
}

/** `domain/name`, or only the name: then the domain is the driver's name. */
function byDomain<T>(driver: string, all: Readonly<Record<string, T>>, toValue: (one: T) => Value): Domains {
  const found = new Map<string, [string, Value][]>();
  for (const [qualified, one] of Object.entries(all)) {
    const slash = qualified.indexOf("/");
    const domain = slash < 0 ? driver : qualified.slice(0, slash);
    const entries = found.get(domain) ?? [];
    entries.push([qualified.slice(slash + 1), toValue(one)]);
    found.set(domain, entries);
  }
  return new Domains(new Map([...found].map(([domain, entries]) => [domain, new NativeMap(entries)])));
}

function attributeValue({ int, bool: truth, string: text, version: number }: DeviceAttribute): Value {
  if (int !== undefined) return BigInt(int);
  if (truth !== undefined) return truth;
  if (text !== undefined) return text;
  return number === undefined ? null : version(number);
}

/** The device as selectors see it. */
export function deviceValue(
  driver: string,
  { attributes = {}, capacity = {}, allowMultipleAllocations }: Device,
): Value {
  return new NativeMap([
    ["driver", driver],
    ["attributes", byDomain(driver, attributes, attributeValue)],
    ["capacity", byDomain(driver, capacity, ({ value }) => quantity(String(value)))],
    ["allowMultipleAllocations", allowMultipleAllocations ?? false],
  ]);
}

/** Whether all selectors hold for the device. Throws CompileError, CelError, CostExceeded. */
export const selects = (selectors: readonly DeviceSelector[], device: Value): boolean =>
  selectors.every(({ cel }) => {
    if (!cel) return true;
    return programFor(cel.expression).run((name) => (name === "device" ? device : undefined), costLimit) === true;
  });
