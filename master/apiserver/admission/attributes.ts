import { forbidden, type StatusError } from "#shared/api/errors.ts";
import type { KubeObject, ObjectKey } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import type { ResourceReader } from "../registry/reader.ts";
import { isQualifiedName } from "../resources/validation/names.ts";
import type { AdmissionAttributes } from "./admission.ts";

/** Whether a write is to the resource itself, or to the named one of its subresources. */
export function isWriteTo(
  { declaration, subresource }: AdmissionAttributes,
  ref: { readonly group: string; readonly plural: string },
  wantedSubresource?: string,
): boolean {
  return (
    declaration.ref.group === ref.group &&
    declaration.ref.plural === ref.plural &&
    (subresource || undefined) === wantedSubresource
  );
}

/** The draft as its kind, when the write is to that resource and has a body. */
export function draftOf<T extends KubeObject>(attributes: AdmissionAttributes, ref: ResourceRef<T>): T | undefined {
  return isWriteTo(attributes, ref) ? (attributes.object as T | undefined) : undefined;
}

/** A refusal as admission words it: `pods "x" is forbidden: why`. */
export function refusal({ declaration, name, object }: AdmissionAttributes, why: string): StatusError {
  const { metadata } = object ?? {};
  return forbidden(declaration.ref, name || metadata?.name || metadata?.generateName || "Unknown", why);
}

/** Puts an annotation into the audit event of the request. One that is there already stays, and one without a name of
 *  the form `prefix/name` is left out, as upstream does. */
export function annotate({ auditAnnotations }: AdmissionAttributes, key: string, text: string): void {
  const isNamed = key.includes("/") && isQualifiedName(key).length === 0;
  if (isNamed && !Object.hasOwn(auditAnnotations, key)) auditAnnotations[key] = text;
}

/** The object, or what it becomes within `patience_ms`; undefined when it is not there by then. For objects that a
 *  controller makes a moment after what they depend on (a namespace's default ServiceAccount). */
export function awaitObject<T extends KubeObject>(
  reader: ResourceReader,
  ref: ResourceRef<T>,
  key: ObjectKey,
  patience_ms: number,
): Promise<T | undefined> {
  const found = reader.get(ref, key);
  if (found || patience_ms <= 0) return Promise.resolve(found);
  return new Promise((resolve) => {
    const finish = (): void => {
      clearTimeout(timer);
      stop();
      resolve(reader.get(ref, key));
    };
    const stop = reader.onChange(ref, ({ metadata }) => {
      if (metadata.name === key.name && (metadata.namespace ?? undefined) === key.namespace) finish();
    });
    const timer = setTimeout(finish, patience_ms);
  });
}
