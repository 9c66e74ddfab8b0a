import { findResource } from "../api/objects.ts";
import { go, objectLink } from "../route.ts";
import { tellFault } from "./notes.tsx";

/** An object as others refer to it. */
export interface About {
  readonly apiVersion?: string | undefined;
  readonly kind?: string | undefined;
  /** That of who refers to it, where the object may have none. */
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
}

/** Leads to an object that is known by its kind. */
export function ObjectButton({ about }: { readonly about: About }) {
  return (
    <button type="button" class="link" onClick={() => open(about)}>
      {about.kind} {about.name}
    </button>
  );
}

async function open({ apiVersion = "v1", kind = "", namespace, name = "" }: About): Promise<void> {
  try {
    const resource = await findResource(apiVersion, kind);
    go(objectLink(resource, { namespace: resource.namespaced ? namespace : undefined, name }));
  } catch (error) {
    tellFault(error);
  }
}
