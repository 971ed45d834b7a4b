// Package build makes plugins: the folder of a new one, and the module of an existing one by the command in its
// plugin.yaml. It runs the plugin's own toolchain, as the user who asked, in the plugin's folder.
package build
