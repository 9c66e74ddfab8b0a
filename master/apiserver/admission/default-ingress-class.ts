import { newestDefault } from "#shared/api/newest-default.ts";
import { ingressClasses, ingresses } from "#shared/api/resources.ts";
import type { ResourceReader } from "../registry/reader.ts";
import type { AdmissionAttributes, AdmissionPlugin } from "./admission.ts";
import { draftOf } from "./attributes.ts";

/** An Ingress that names no class gets the default one. */
export class DefaultIngressClass implements AdmissionPlugin {
  readonly name = "DefaultIngressClass";
  readonly resources = [ingresses];

  constructor(private readonly reader: ResourceReader) {}

  async mutate(attributes: AdmissionAttributes): Promise<void> {
    const ingress = draftOf(attributes, ingresses);
    if (!ingress || attributes.operation !== "CREATE" || ingress.spec?.ingressClassName !== undefined) return;
    if (ingress.metadata.annotations?.["kubernetes.io/ingress.class"] !== undefined) return;
    const name = newestDefault(this.reader.list(ingressClasses), ["ingressclass.kubernetes.io/is-default-class"]);
    if (name !== undefined) ingress.spec = { ...ingress.spec, ingressClassName: name };
  }
}
