/** The IPAddress objects that say which addresses Services hold (KEP-1880): they come and go with the writes of Services. */
import { isAlreadyExists } from "#shared/api/errors.ts";
import { ipAddresses, services } from "#shared/api/resources.ts";
import { ipFamilyLabel, managedByLabel, serviceAddressManager } from "#shared/api/service-addresses.ts";
import type { Service } from "#shared/api/types/core-v1.generated.ts";
import type { IPAddress } from "#shared/api/types/networking-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { unlessGone } from "#shared/client/unless-gone.ts";
import { familyOf } from "#shared/net/ip-family.ts";
import type { ResourceReader } from "../registry/reader.ts";
import type { StoredChange, WriteCompanion } from "../registry/write-companion.ts";
import { formatAddress, parseAddress } from "./validation/addresses.ts";

/** The addresses that a Service holds, as IPAddress objects are named. */
export function addressesOf({ spec }: Pick<Service, "spec">): string[] {
  return (spec.clusterIPs ?? (spec.clusterIP ? [spec.clusterIP] : [])).flatMap((text) => {
    const address = parseAddress(text);
    return address ? [formatAddress(address)] : [];
  });
}

/** The IPAddress that says that a Service holds an address. */
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

/** Whether an IPAddress says of a Service what it should. */
export function isHeldBy({ metadata, spec }: IPAddress, service: Service): boolean {
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

export interface ServiceAddressOptions {
  readonly reader: ResourceReader;
  readonly client: Client;
  /** Told of what could not be done, which is left to the controller that repairs. */
  readonly report: (message: string, error: unknown) => void;
}

/** Whoever is answered about a Service finds its IPAddress objects as it is said there. */
export class ServiceAddressObjects implements WriteCompanion {
  readonly ref = services;
  readonly #reader: ResourceReader;
  readonly #client: Client;
  readonly #report: ServiceAddressOptions["report"];

  constructor({ reader, client, report }: ServiceAddressOptions) {
    this.#reader = reader;
    this.#client = client;
    this.#report = report;
  }

  async follow({ before, after }: StoredChange): Promise<void> {
    const held = before ? addressesOf(before as Service) : [];
    const holds = after ? addressesOf(after as Service) : [];
    await Promise.all([
      ...holds.filter((name) => !held.includes(name)).map((name) => this.#make(name, after as Service)),
      ...held.filter((name) => !holds.includes(name)).map((name) => this.#drop(name, before as Service)),
    ]);
  }

  async #make(name: string, service: Service): Promise<void> {
    try {
      await this.#client.create(ipAddresses, addressObject(name, service));
    } catch (error) {
      // The controller may have been quicker; what is another's is for it to judge.
      if (!isAlreadyExists(error)) this.#report(`the IPAddress ${name} is left to be made later`, error);
    }
  }

  async #drop(name: string, service: Service): Promise<void> {
    const present = this.#reader.get(ipAddresses, { name });
    if (!present || !isHeldBy(present, service)) return;
    const { uid } = present.metadata;
    try {
      await unlessGone(this.#client.delete(ipAddresses, { name }, { preconditions: { uid } }));
    } catch (error) {
      this.#report(`the IPAddress ${name} is left to be deleted later`, error);
    }
  }
}
