import type { EndpointAddress, EndpointPort, EndpointSubset } from "#shared/api/types/core-v1.generated.ts";
import { canonicalText } from "../canonical-text.ts";

/** Of one port: every address that offers it, and whether it is ready there. */
interface PortAddresses {
  /** undefined stands for a subset without ports. */
  readonly port: EndpointPort | undefined;
  readonly ready: Map<string, boolean>;
}

/** Ports that are offered by the same addresses. */
interface Group {
  readonly ports: EndpointPort[];
  readonly ready: ReadonlyMap<string, boolean>;
}

/**
 * The same addresses and ports in upstream's one form (pure): each port stands once, with all that offer it, and ports of
 * the same addresses stand together. An address is one by its IP and the UID of its target, told as it is met first; where
 * it is ready and not ready at one port, it is not. Everything comes in a fixed order.
 */
export function repackSubsets(subsets: readonly EndpointSubset[]): EndpointSubset[] {
  const addresses = new Map<string, EndpointAddress>();
  const byPort = new Map<string, PortAddresses>();
  for (const { ports = [], addresses: ready = [], notReadyAddresses: notReady = [] } of subsets) {
    for (const port of ports.length > 0 ? ports : [undefined]) {
      const text = canonicalText(port ?? null);
      const entry = byPort.get(text) ?? { port, ready: new Map<string, boolean>() };
      byPort.set(text, entry);
      const add = (address: EndpointAddress, isReady: boolean): void => {
        const key = `${address.ip} ${address.targetRef?.uid ?? ""}`;
        if (!addresses.has(key)) addresses.set(key, address);
        entry.ready.set(key, isReady && (entry.ready.get(key) ?? true));
      };
      for (const address of ready) add(address, true);
      for (const address of notReady) add(address, false);
    }
  }
  return inOrder(groupsOf([...byPort.values()]).map((group) => subsetOf(group, addresses)));
}

function groupsOf(offers: readonly PortAddresses[]): Group[] {
  const groups = new Map<string, Group>();
  for (const { port, ready } of offers) {
    const key = `${port === undefined} ${canonicalText(Object.fromEntries(ready))}`;
    const group = groups.get(key) ?? { ports: [], ready };
    groups.set(key, group);
    if (port) group.ports.push(port);
  }
  return [...groups.values()];
}

function subsetOf({ ports, ready }: Group, known: ReadonlyMap<string, EndpointAddress>): EndpointSubset {
  const those = (isReady: boolean): EndpointAddress[] =>
    [...ready]
      .filter(([, is]) => is === isReady)
      .flatMap(([key]) => known.get(key) ?? [])
      .toSorted((a, b) => (a.ip < b.ip ? -1 : 1));
  const [addresses, notReadyAddresses] = [those(true), those(false)];
  return {
    ...(addresses.length > 0 ? { addresses } : {}),
    ...(notReadyAddresses.length > 0 ? { notReadyAddresses } : {}),
    ...(ports.length > 0 ? { ports: inOrder(ports) } : {}),
  };
}

const inOrder = <T extends object>(items: readonly T[]): T[] =>
  items.toSorted((a, b) => (canonicalText(a) < canonicalText(b) ? -1 : 1));
