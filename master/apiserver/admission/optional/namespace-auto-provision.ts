import { isAlreadyExists } from "#shared/api/errors.ts";
import { messageOf } from "#shared/api/joined-errors.ts";
import { namespaces } from "#shared/api/resources.ts";
import type { Client } from "#shared/client/client.ts";
import type { ResourceReader } from "../../registry/reader.ts";
import type { AdmissionAttributes, AdmissionPlugin } from "../admission.ts";
import { refusal } from "../attributes.ts";

/** Makes the namespace that something is to be made in, where it is missing. */
export class NamespaceAutoProvision implements AdmissionPlugin {
  readonly name = "NamespaceAutoProvision";

  /** @param client that may make namespaces */
  constructor(
    private readonly reader: ResourceReader,
    private readonly client: () => Client,
  ) {}

  mutate(attributes: AdmissionAttributes): Promise<void> | undefined {
    const { operation, namespace, dryRun, declaration } = attributes;
    const isNamespace = declaration.ref.group === "" && declaration.ref.kind === "Namespace";
    if (operation !== "CREATE" || !namespace || dryRun || isNamespace) return undefined;
    return this.reader.get(namespaces, { name: namespace }) ? undefined : this.#make(namespace, attributes);
  }

  async #make(name: string, attributes: AdmissionAttributes): Promise<void> {
    try {
      await this.client().create(namespaces, { apiVersion: "v1", kind: "Namespace", metadata: { name }, spec: {} });
    } catch (error) {
      if (!isAlreadyExists(error)) throw refusal(attributes, messageOf(error));
    }
  }
}
