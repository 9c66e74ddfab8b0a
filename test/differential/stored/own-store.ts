/** Our store, by its own interface. */
import { type KubeObject, parseApiVersion } from "#shared/api/object.ts";
import { schemaFor } from "#shared/api/schema/schema.ts";
import { canonical } from "../../../master/apiserver/registry/decode-body.ts";
import { builtinDeclarations } from "../../../master/apiserver/resources/index.ts";
import { toStoredText } from "../../../master/apiserver/watch-cache/stored-text.ts";
import type { Store } from "../../../master/store/store.ts";
import type { RawStore } from "./seeding.ts";

export const ownStore = (store: Store): RawStore => ({
  async keys() {
    const { items } = await store.list("/registry/");
    return items.map(({ key }) => key);
  },
  async put(values) {
    for (const [key, text] of values) await store.create(key, asStored(JSON.parse(text) as KubeObject));
  },
});

/** With its defaults and in its canonical form, in which whatever was written ever rests. */
function asStored(object: KubeObject): string {
  const gvk = { ...parseApiVersion(object.apiVersion), kind: object.kind };
  const declaration = builtinDeclarations.find(
    ({ ref }) => ref.group === gvk.group && ref.version === gvk.version && ref.kind === gvk.kind,
  );
  const draft = canonical(object, schemaFor(gvk));
  declaration?.strategy?.applyDefaults?.(draft);
  return toStoredText(canonical(draft, schemaFor(gvk)));
}
