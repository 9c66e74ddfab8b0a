/** Field management and server-side apply, as the API server uses them. */
export { type Applied, applyConfiguration } from "./apply.ts";
export { MalformedManagedFields, readEntries } from "./entries.ts";
export { FieldSet } from "./field-set.ts";
export { ConfigurationMisfit, mergedConfiguration } from "./merged-configuration.ts";
export { entriesAfterScale, type ReplicasPaths, scaleEntries } from "./scale.ts";
export { settledManagedFields } from "./settle.ts";
export { ConversionFailed, type OtherVersion } from "./touched-fields.ts";
export { rootAtom } from "./typed-schema.ts";
export { type ManagedResource, managerOfRequest, updateManagedFields } from "./update.ts";
export { typeProblems } from "./validate.ts";
