"""What setuptools cannot be told in pyproject.toml; everything else stands there."""

from setuptools import find_namespace_packages, setup

setup(
    # Without package_dir an editable install would hide twisted/plugins from twistd.
    package_dir={"": "."},
    packages=find_namespace_packages(include=["tutumstream", "tutumstream.*", "twisted.plugins"]),
    package_data={"tutumstream": ["py.typed"]},
)
