import { keyOf } from "#shared/api/object.ts";
import { ipAddresses, services } from "#shared/api/resources.ts";
import {
  ipFamilyLabel,
  isServiceAddress,
  managedByLabel,
  serviceAddressManager,
} from "#shared/api/service-addresses.ts";
import type { Service } from "#shared/api/types/core-v1.generated.ts";
import type { IPAddress } from "#shared/api/types/networking-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { defineController, watching } from "#shared/client/controller.ts";
import { unlessGone } from "#shared/client/unless-gone.ts";
import { familyOf } from "#shared/net/ip-family.ts";
import { formatAddress, parseAddress } from "../../apiserver/resources/validation/addresses.ts";

/** The addresses that a Service holds, as IPAddress objects are named. */
function addressesOf({ spec }: Pick<Service, "spec">): string[] {
  return (spec.clusterIPs ?? (spec.clusterIP ? [spec.clusterIP] : [])).flatMap((text) => {
    const address = parseAddress(text);
    return address ? [formatAddress(address)] : [];
  });
}

/** The IPAddress that says that a Service holds an address (KEP-1880). */
export function addressObject(name: string, { metadata }: Service): IPAddress {
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "IPAddress",
    metadata: {
      name,
      labels: { [ipFamilyLabel]: familyOf(name), [managedByLabel]: serviceAddressManager },
    },
    spec: {
      parentRef: { group: "", resource: "services", namespace: metadata.namespace ?? "", name: metadata.name ?? "" },
    },
  };
}

function isHeldBy({ metadata, spec }: IPAddress, service: Service): boolean {
  const { group = "", resource, namespace, name } = spec.parentRef;
  const wanted = addressObject(metadata.name ?? "", service).metadata.labels ?? {};
  return (
    group === "" &&
    resource === "services" &&
    namespace === service.metadata.namespace &&
    name === service.metadata.name &&
    Object.entries(wanted).every(([key, value]) => metadata.labels?.[key] === value)
  );
}

/** Keeps one IPAddress for each address of a Service, and none for addresses that none holds any more. */
export const serviceAddresses = defineController({
  name: "ipallocator-repair-controller",
  watches: [
    watching(services, { indexes: { address: addressesOf }, enqueue: addressesOf }),
    watching(ipAddresses, {
      when: ({ object }) => isServiceAddress(object) || object.spec.parentRef.resource === "services",
    }),
  ],
  async reconcile(name, { lister, client }) {
    const present = lister(ipAddresses).get(name);
    const holders = lister(services).byIndex("address", name);
    const holder = holders.find((service) => present && isHeldBy(present, service)) ?? first(holders);
    if (!holder) {
      if (present && isServiceAddress(present) && (await isForsaken(client, present))) await remove(client, present);
      return;
    }
    if (present && isHeldBy(present, holder)) return;
    if (present) await remove(client, present);
    await client.create(ipAddresses, addressObject(name, holder));
  },
});

const first = (found: readonly Service[]): Service | undefined =>
  [...found].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))[0];

/** Asked anew: another master may have given the address to a Service that has not come by yet. */
async function isForsaken(client: Client, { metadata, spec }: IPAddress): Promise<boolean> {
  const { namespace, name } = spec.parentRef;
  const service = await unlessGone(client.get(services, { namespace, name }));
  return !service || !addressesOf(service).includes(metadata.name ?? "");
}

async function remove(client: Client, { metadata }: IPAddress): Promise<void> {
  const { name = "", uid } = metadata;
  await unlessGone(client.delete(ipAddresses, { name }, { preconditions: { uid } }));
}
