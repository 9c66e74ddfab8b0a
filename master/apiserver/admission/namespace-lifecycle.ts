import { forbidden, notFound, StatusError } from "#shared/api/errors.ts";
import { namespaces } from "#shared/api/resources.ts";
import type { Namespace } from "#shared/api/types/core-v1.generated.ts";
import type { ResourceReader } from "../registry/reader.ts";
import type { AdmissionAttributes, AdmissionPlugin } from "./admission.ts";
import { awaitObject, isWriteTo, refusal } from "./attributes.ts";

const immortal = ["default", "kube-system", "kube-public"];
/** How long a create may wait for a namespace that another master has just made. */
const patience_ms = 50;

/** Nothing is made in a namespace that is missing or going, and the system's namespaces do not go. */
export class NamespaceLifecycle implements AdmissionPlugin {
  readonly name = "NamespaceLifecycle";
  readonly mutatesOn = ["DELETE"] as const;

  constructor(private readonly reader: ResourceReader) {}

  mutate(attributes: AdmissionAttributes): Promise<void> | undefined {
    const { operation, namespace, name, declaration } = attributes;
    if (declaration.ref.group === "" && declaration.ref.kind === "Namespace") {
      if (operation === "DELETE" && immortal.includes(name))
        throw forbidden(namespaces, name, "this namespace may not be deleted");
      return undefined;
    }
    if (!namespace || operation === "DELETE" || operation === "CONNECT") return undefined;
    // To say that a namespace is missing would tell of namespaces that the caller may not know.
    if (isWriteTo(attributes, { group: "authorization.k8s.io", plural: "localsubjectaccessreviews" })) return undefined;
    const present = this.reader.get(namespaces, { name: namespace });
    if (!present && operation === "CREATE")
      return awaitObject(this.reader, namespaces, { name: namespace }, patience_ms).then((found) =>
        assertOpen(attributes, namespace, found),
      );
    assertOpen(attributes, namespace, present);
    return undefined;
  }
}

function assertOpen(attributes: AdmissionAttributes, namespace: string, found: Namespace | undefined): void {
  if (!found) throw notFound(namespaces, namespace);
  if (attributes.operation !== "CREATE" || found.status?.phase !== "Terminating") return;
  const error = refusal(
    attributes,
    `unable to create new content in namespace ${namespace} because it is being terminated`,
  );
  throw new StatusError(error.reason, error.message, {
    ...error.options,
    causes: [
      {
        reason: "NamespaceTerminating",
        message: `namespace ${namespace} is being terminated`,
        field: "metadata.namespace",
      },
    ],
  });
}
