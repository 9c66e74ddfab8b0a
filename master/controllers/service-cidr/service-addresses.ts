import { isAlreadyExists } from "#shared/api/errors.ts";
import { keyOf } from "#shared/api/object.ts";
import { ipAddresses, services } from "#shared/api/resources.ts";
import { isServiceAddress } from "#shared/api/service-addresses.ts";
import type { Service } from "#shared/api/types/core-v1.generated.ts";
import type { IPAddress } from "#shared/api/types/networking-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { defineController, watching } from "#shared/client/controller.ts";
import { unlessGone } from "#shared/client/unless-gone.ts";
import { addressesOf, addressObject, isHeldBy } from "../../apiserver/resources/service-address-objects.ts";

/**
 * Keeps one IPAddress for each address of a Service, and none for addresses that none holds any more. The API server does so with
 * each write of a Service; what it did not get to do, because it ended in between, is found here.
 */
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
    await make(client, addressObject(name, holder));
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

/** The API server may just have made it; the informer shows what it says. */
async function make(client: Client, object: IPAddress): Promise<void> {
  try {
    await client.create(ipAddresses, object);
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
  }
}

async function remove(client: Client, { metadata }: IPAddress): Promise<void> {
  const { name = "", uid } = metadata;
  await unlessGone(client.delete(ipAddresses, { name }, { preconditions: { uid } }));
}
