import { notFound } from "#shared/api/errors.ts";
import { namespaces } from "#shared/api/resources.ts";
import type { ResourceReader } from "../../registry/reader.ts";
import type { AdmissionAttributes, AdmissionPlugin } from "../admission.ts";

/** Nothing is made, changed or deleted in a namespace that is not there. */
export class NamespaceExists implements AdmissionPlugin {
  readonly name = "NamespaceExists";

  constructor(private readonly reader: ResourceReader) {}

  validate({ namespace, declaration: { ref }, operation }: AdmissionAttributes): undefined {
    if (!namespace || operation === "CONNECT" || (ref.group === "" && ref.kind === "Namespace")) return;
    if (!this.reader.get(namespaces, { name: namespace })) throw notFound(namespaces, namespace);
  }
}
