// The part of the changelog that is about one version.

/**
 * The notes of a version.
 *
 * @param {string} changelog
 * @param {string} version `1.2.3` or `v1.2.3`
 * @param {Record<string, string>} versions what the project's files say that they are
 */
export function notesOf(changelog, version, versions) {
  const number = version.replace(/^v/, '');
  for (const [file, said] of Object.entries(versions)) {
    if (said !== number) throw new Error(`${file} says ${said}, and the release is "${version}"`);
  }
  const parts = changelog.split(/^## /m).slice(1);
  const part = parts.find((text) => new RegExp(`^\\[?${number.replaceAll('.', '\\.')}\\]?(\\s|$)`).test(text));
  const notes = part?.slice(part.indexOf('\n') + 1).trim();
  if (!notes) throw new Error(`CHANGELOG.md says nothing of ${number}: rename "Unreleased" to it, with the day`);
  return notes;
}
