/** What pods may have that this process's API server serves (upstream's pkg/capabilities): set before it serves anything, by
 *  --allow-privileged. Rules for pods and templates of pods are the same functions for every kind, and look here. */
export const capabilities = { allowsPrivileged: true };
