"""Site files: those that come with the repository load, and what is wrong is said."""

import pytest
import yaml

from yolo_dist.config.sites import SITES, load_site, site_names
from yolo_dist.errors import InputError


@pytest.mark.parametrize('name', site_names())
def test_ready_sites_load_under_their_name(name):
    """The file's stem is the site's name."""
    assert load_site(name).name == name


def test_there_is_a_ready_site_for_each_scheduler():
    """`--scheduler` alone is enough on each of them."""
    schedulers = [load_site(name).scheduler for name in site_names()]
    assert sorted(schedulers) == ['local', 'pbs', 'slurm', 'uge']


def test_abci_is_as_in_the_paper():
    """Table 1: 4 x V100 a node and EDR InfiniBand, 1/3 of full bisection between racks."""
    site = load_site('abci_2018')
    assert (site.scheduler, site.gpus_per_node) == ('uge', 4)
    assert '-l rt_F=$n_nodes' in ' '.join(site.submit_options)
    assert site.links.inter_node.gigabytes_per_second == pytest.approx(2 * 100 / 8)
    assert site.links.rack_uplink_fraction == pytest.approx(1 / 3, abs=1e-3)


@pytest.mark.parametrize('change, message', [
    ({'gpus': 4}, 'gpus: is not a known key'),
    ({'gpus_per_node': '4'}, "gpus_per_node: found '4'"),
    ({'scheduler': 'lsf'}, "scheduler: found 'lsf'"),
    ({'submit_options': ['--nodes=$nodes']}, '$nodes is not known here; expected one of $n_nodes'),
    ({'scheduler': 'local'}, 'scheduler local runs on this machine'),
    ({'walltime': {'max_hours': 0.1, 'max_node_hours': None, 'safety_factor': 1.5,
                   'warning_minutes': 10.0}}, 'warning_minutes 10 leaves nothing'),
])
def test_a_wrong_key_is_named(tmp_path, change, message):
    """The message names file, key, what was found and what was expected."""
    path = tmp_path / 'site.yaml'
    path.write_text(yaml.safe_dump(yaml.safe_load((SITES / 'slurm.yaml').read_text()) | change))
    with pytest.raises(InputError) as caught:
        load_site(path)
    assert message in str(caught.value) and str(path) in str(caught.value)


def test_an_unknown_site_names_the_known_ones():
    """A name that is no file under jobs/sites, and a path that is no file."""
    with pytest.raises(InputError, match='ready sites: abci_2018, abci_3, slurm, workstation'):
        load_site('tsubame')
    with pytest.raises(InputError, match='there is no nowhere/site.yaml'):
        load_site('nowhere/site.yaml')
