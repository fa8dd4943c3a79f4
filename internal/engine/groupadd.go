// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"fmt"
	"os"
	"slices"

	mobyuser "github.com/moby/sys/user"

	"strata/internal/container"
)

// recordUser is the user of a container in its image, with the groups that were
// added to the image's.
func recordUser(root *os.File, r *container.Record) (user, error) {
	u, err := lookupUser(root, r.Config.User)
	if err != nil || len(r.Host.GroupAdd) == 0 {
		return u, err
	}
	accounts, err := readAccounts(root, "etc/group")
	if err != nil {
		return user{}, err
	}
	for _, name := range r.Host.GroupAdd {
		gids, err := mobyuser.GetAdditionalGroups([]string{name}, bytes.NewReader(accounts))
		if err != nil {
			return user{}, fmt.Errorf("--group-add %s: %w", name, err)
		}
		for _, gid := range gids {
			if !slices.Contains(u.groups, uint32(gid)) {
				u.groups = append(u.groups, uint32(gid))
			}
		}
	}
	return u, nil
}
