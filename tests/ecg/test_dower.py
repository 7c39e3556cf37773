"""The published matrices of Dower, and how they fit each other."""

import numpy as np
import pytest

from beatssl_sklearn.ecg.dower import DOWER, DOWER_EIGHT, INVERSE_DOWER
from beatssl_sklearn.ecg.leads import INDEPENDENT, LEADS, place_leads


def test_rows_are_the_leads_of_the_package():
    assert DOWER.shape == (12, 3) and DOWER_EIGHT.shape == (8, 3) and INVERSE_DOWER.shape == (3, 12)
    np.testing.assert_array_equal(DOWER[INDEPENDENT], DOWER_EIGHT)
    # The dipole that points to the left is positive in I, and the one that points to the feet in II.
    assert DOWER[LEADS.index("I")].argmax() == 0 and DOWER[LEADS.index("II")].argmax() == 1


def test_limb_leads_obey_einthoven_and_goldberger():
    placed, _ = place_leads(DOWER_EIGHT, [LEADS[i] for i in INDEPENDENT])
    np.testing.assert_allclose(DOWER, placed, atol=1e-7)


def test_published_matrices_fit_each_other():
    np.testing.assert_allclose(INVERSE_DOWER @ DOWER, np.eye(3), atol=1.01e-3)
    np.testing.assert_allclose(np.linalg.pinv(DOWER_EIGHT), INVERSE_DOWER[:, INDEPENDENT], atol=5e-4)
    assert not INVERSE_DOWER[:, 2:6].any()


@pytest.mark.parametrize("matrix", [DOWER, DOWER_EIGHT, INVERSE_DOWER])
def test_constants_cannot_be_changed(matrix):
    with pytest.raises(ValueError, match="read-only"):
        matrix[0, 0] = 1
